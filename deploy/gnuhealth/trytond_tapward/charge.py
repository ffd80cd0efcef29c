"""A charge of Tapward is one line of a health service: it carries the charge's id, which the database keeps unique, and
what is to be paid. An invoice made of such lines asks for exactly that, whatever the list price of the product.
"""

from decimal import Decimal

from trytond.exceptions import UserError
from trytond.i18n import gettext
from trytond.model import Unique, fields
from trytond.modules.product import round_price
from trytond.pool import Pool, PoolMeta
from trytond.transaction import Transaction

__all__ = ['CreateServiceInvoice', 'HealthServiceLine', 'OtherCurrency']


class OtherCurrency(UserError):
    "A charge is in another currency than the invoice would be."


class HealthServiceLine(metaclass=PoolMeta):
    __name__ = 'gnuhealth.health_service.line'

    tapward_charge = fields.Char(
        "Tapward charge", readonly=True,
        help="The id of the charge that was registered for the patient.")
    tapward_reversal = fields.Boolean(
        "Reverses the charge", readonly=True,
        help="The charge was taken back after it had been invoiced.")
    tapward_taken_back = fields.Boolean(
        "Taken back", readonly=True,
        help="The charge was taken back before it was invoiced.")
    tapward_amount = fields.Numeric(
        "To pay", digits=(18, 3), readonly=True,
        help="What is to be paid for all of it, after the discount.")
    tapward_currency = fields.Char("Currency", readonly=True)
    tapward_paid = fields.Boolean(
        "Paid", readonly=True,
        help="All of it was paid at the till.")

    @classmethod
    def __setup__(cls):
        super().__setup__()
        table = cls.__table__()
        cls._sql_constraints += [
            ('tapward_charge_unique',
                Unique(table, table.tapward_charge, table.tapward_reversal),
                'tapward.msg_charge_written')]

    @staticmethod
    def default_tapward_reversal():
        return False

    @staticmethod
    def default_tapward_taken_back():
        return False

    @staticmethod
    def default_tapward_paid():
        return False

    @classmethod
    def copy(cls, lines, default=None):
        default = dict(
            default or {}, tapward_charge=None, tapward_reversal=False,
            tapward_taken_back=False, tapward_amount=None,
            tapward_currency=None, tapward_paid=False)
        return super().copy(lines, default=default)


class CreateServiceInvoice(metaclass=PoolMeta):
    __name__ = 'gnuhealth.service.invoice.create'

    def transition_create_service_invoice(self):
        pool = Pool()
        Service = pool.get('gnuhealth.health_service')
        InvoiceLine = pool.get('account.invoice.line')
        Invoice = pool.get('account.invoice')
        Tax = pool.get('account.tax')
        services = Service.browse(Transaction().context.get('active_ids'))
        ours = [line for service in services for line in service.service_line
            if line.tapward_charge and line.to_invoice]
        for line in ours:
            company = line.service.company
            if (company
                    and company.currency.code != line.tapward_currency):
                raise OtherCurrency(gettext(
                    'tapward.msg_currency', line=line.desc,
                    currency=line.tapward_currency))
        done = super().transition_create_service_invoice()
        if not ours:
            return done
        written = InvoiceLine.search([
            ('origin', 'in', [str(line) for line in ours]),
            ('invoice.state', '=', 'draft')])
        for line in written:
            of = line.origin
            # What was asked of the patient has any taxes in it.
            amount = Tax.reverse_compute(
                of.tapward_amount, line.taxes, line.invoice.invoice_date)
            quantity = Decimal(str(line.quantity or 0))
            price = amount / quantity if quantity else None
            if price is None or price != round_price(price):
                # Not so many times a price that can be written: one of all.
                line.description = f"{of.qty} x {line.description}"
                sign = -1 if of.tapward_reversal else 1
                line.quantity, price = sign, round_price(sign * amount)
            line.unit_price = price
        InvoiceLine.save(written)
        Invoice.update_taxes(
            Invoice.browse(list({line.invoice.id for line in written})))
        return done
