"""Invoices by themselves: Tapward says which charges were paid at the till, and what is complete becomes an invoice, by the
wizard that people use. A health service is complete when its visit has ended and each line that is to be invoiced is a
charge of Tapward that is paid, or reverses one. The invoice is a draft: to validate and post it is for people.
"""

from trytond.exceptions import UserError
from trytond.pool import Pool, PoolMeta
from trytond.rpc import RPC
from trytond.transaction import Transaction, without_check_access

__all__ = ['HealthService']

# Charges of one call.
CHARGES_MAX = 1000
# What the wizard refuses before it writes anything, and the code of what is missing. By name: health_insurance brings a wizard
# of its own with exceptions of its own.
MISSING = {
    'NoInvoiceAddress': 'address',
    'NoPaymentTerm': 'payment_term',
    'NoAccountReceivable': 'receivable',
    'AccountMissing': 'account',
    'AccountError': 'account',
    'TaxError': 'tax',
    'OtherCurrency': 'currency',
    }


class HealthService(metaclass=PoolMeta):
    __name__ = 'gnuhealth.health_service'

    @classmethod
    def __setup__(cls):
        super().__setup__()
        cls.__rpc__['tapward_settle'] = RPC(readonly=False)

    @classmethod
    def tapward_settle(cls, charges, visit=None):
        """Notes of charges whether they are paid in full ({id: paid}), then makes the invoices of what is complete among
        their health services, and that of the visit, if one is named. The value is what was missing for an invoice, as
        codes; once more, with nothing missing, changes nothing."""
        Line = Pool().get('gnuhealth.health_service.line')
        if len(charges) > CHARGES_MAX:
            raise ValueError("too many charges")
        lines = [line for line in Line.search([
                    ('tapward_charge', 'in', list(charges)),
                    ('service', '!=', None)])
            if line.service.state == 'draft']
        for is_paid in (True, False):
            Line.write([line for line in lines
                    if not line.tapward_reversal
                    and bool(line.tapward_paid) != is_paid
                    and bool(charges[line.tapward_charge]) == is_paid],
                {'tapward_paid': is_paid})
        services = {line.service.id for line in lines}
        if visit:
            services.update(service.id for service in cls.search([
                        ('tapward_visit', '=', visit),
                        ('state', '=', 'draft')]))
        missing = set()
        for service in cls.browse(sorted(services)):
            if service.tapward_is_complete():
                missing.add(service.tapward_invoice())
        return sorted(missing - {None})

    def tapward_is_complete(self):
        Evaluation = Pool().get('gnuhealth.patient.evaluation')
        lines = [line for line in self.service_line if line.to_invoice]
        if not lines or self.state != 'draft' or not all(
                line.tapward_charge
                and (line.tapward_paid or line.tapward_reversal)
                for line in lines):
            return False
        return not (self.tapward_visit and Evaluation.search([
                    ('tapward_visit', '=', self.tapward_visit),
                    ('evaluation_endtime', '=', None)], limit=1))

    def tapward_invoice(self):
        "Makes the invoice; the code of what is missing, if something is."
        if not self.company:
            return 'company'
        Wizard = Pool().get('gnuhealth.service.invoice.create', type='wizard')
        with Transaction().set_context(
                active_model=self.__name__, active_id=self.id,
                active_ids=[self.id]):
            # It asks who may; as for people, its steps then do not.
            session, _, _ = Wizard.create()
            try:
                with without_check_access():
                    Wizard(session).transition_create_service_invoice()
            except UserError as error:
                if type(error).__name__ not in MISSING:
                    raise
                return MISSING[type(error).__name__]
            Wizard.delete(session)
