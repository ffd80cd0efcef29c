"""A visit of Tapward is written once: evaluation and service carry its id, and the database keeps the id unique. So a
message that is sent again after a lost answer changes nothing.
"""

from trytond.model import Unique, fields
from trytond.pool import PoolMeta

__all__ = ['Evaluation', 'HealthService']


class OfVisit:
    __slots__ = ()

    tapward_visit = fields.Char(
        "Tapward visit", readonly=True,
        help="The id of the visit that a tap of the patient's card began.")

    @classmethod
    def __setup__(cls):
        super().__setup__()
        table = cls.__table__()
        cls._sql_constraints += [
            ('tapward_visit_unique', Unique(table, table.tapward_visit),
                'tapward.msg_visit_written')]

    @classmethod
    def copy(cls, records, default=None):
        default = dict(default or {}, tapward_visit=None)
        return super().copy(records, default=default)


class Evaluation(OfVisit, metaclass=PoolMeta):
    __name__ = 'gnuhealth.patient.evaluation'


class HealthService(OfVisit, metaclass=PoolMeta):
    __name__ = 'gnuhealth.health_service'
