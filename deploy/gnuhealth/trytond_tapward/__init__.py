"""Tapward in GNU Health: sign-in by badge, and visits, charges and invoices that are written once."""

from trytond.pool import Pool

from . import badge, charge, invoice, visit

__all__ = ['register']


def register():
    Pool.register(
        badge.UsedAssertion,
        badge.User,
        visit.Evaluation,
        visit.HealthService,
        charge.HealthServiceLine,
        invoice.HealthService,
        module='tapward', type_='model')
    Pool.register(
        charge.CreateServiceInvoice,
        module='tapward', type_='wizard')
