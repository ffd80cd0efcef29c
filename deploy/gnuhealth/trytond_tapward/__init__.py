"""Tapward in GNU Health: sign-in by badge, and visits that are written once."""

from trytond.pool import Pool

from . import badge, visit

__all__ = ['register']


def register():
    Pool.register(
        badge.UsedAssertion,
        badge.User,
        visit.Evaluation,
        visit.HealthService,
        module='tapward', type_='model')
