"""Puts doctors, patients and appointments into a GNU Health database: for the demonstration and for tests. What is there
already, by its reference, is left as it is.

    python seed.py DATABASE-URI TRYTOND-CONF PEOPLE.json

PEOPLE.json: {"institution": "…", "readers": [login],
    "doctors": [{"ref", "login", "given", "family", "gender": "f"|"m", "birth": "YYYY-MM-DD"}],
    "patients": [{"ref", "given", "family", "gender", "birth"}],
    "appointments": [{"patient": ref, "doctor": ref, "at": "YYYY-MM-DDTHH:MM:SS" in UTC}],
    "products": [{"code", "name"}], "accountants": [login]}
"""

import datetime
import json
import sys
from decimal import Decimal

from proteus import Model, config


def first(name, *domain):
    found = Model.get(name).find(list(domain), limit=1)
    return found[0] if found else None


def institution(name):
    there = first('gnuhealth.institution')
    if there:
        return there
    currency = first('currency.currency', ('code', '=', 'EUR'))
    if not currency:
        currency = Model.get('currency.currency')(
            name="Euro", symbol="€", code='EUR', rounding=Decimal("0.01"), digits=2)
        currency.save()
    party = first('party.party', ('ref', '=', 'CLINIC'))
    if not party:
        party = Model.get('party.party')(name=name, is_institution=True)
        party.ref = 'CLINIC'
        party.save()
    if not first('company.company'):
        Model.get('company.company')(party=party, currency=currency).save()
    made = Model.get('gnuhealth.institution')(
        party=party, code='CLINIC', institution_type='clinic',
        public_level='private')
    made.save()
    return made


def books(company):
    "What an invoice needs: a chart of accounts, a fiscal year, a term of payment."
    # They may be imported only when it is known which database is meant.
    from trytond.modules.account.tests.tools import (
        create_chart, create_fiscalyear, get_accounts)
    from trytond.modules.account_invoice.tests.tools import (
        create_payment_term, set_fiscalyear_invoice_sequences)
    if first('account.account', ('company', '=', company.id)):
        return
    create_chart(company)
    accounts = get_accounts(company)
    settings = Model.get('account.configuration')(1)
    settings.default_account_receivable = accounts['receivable']
    settings.default_account_payable = accounts['payable']
    settings.default_category_account_revenue = accounts['revenue']
    settings.default_category_account_expense = accounts['expense']
    term = create_payment_term()
    term.save()
    settings.default_customer_payment_term = term
    settings.save()
    year = set_fiscalyear_invoice_sequences(create_fiscalyear(company))
    year.save()
    year.click('create_period')


def of_company(user, company):
    if company not in user.companies:
        user.companies.append(Model.get('company.company')(company.id))
        user.company = company
        user.save()


def user(login, name, groups, company):
    made = first('res.user', ('login', '=', login))
    if not made:
        made = Model.get('res.user')(name=name, login=login)
        for group in groups:
            made.groups.append(Model.get('res.group')(group.id))
        made.save()
    of_company(made, company)
    return made


def person(row, **kind):
    there = first('party.party', ('ref', '=', row['ref']))
    if there:
        return there
    made = Model.get('party.party')(
        name=row['given'], lastname=row['family'], is_person=True,
        gender=row.get('gender', 'f'),
        dob=datetime.date.fromisoformat(row['birth']))
    made.ref = row['ref']
    made.fed_country = 'XXX'
    for flag, value in kind.items():
        setattr(made, flag, value)
    made.save()
    return made


def doctor(row, clinic, groups, company):
    party = person(row, is_healthprof=True)
    if not party.internal_user:
        party.internal_user = user(
            row['login'], f"{row['given']} {row['family']}", groups, company)
        party.save()
    there = first('gnuhealth.healthprofessional', ('party', '=', party.id))
    if there:
        return there
    made = Model.get('gnuhealth.healthprofessional')(
        party=party, institution=clinic, code=row['ref'])
    made.save()
    return made


def patient(row):
    party = person(row, is_patient=True)
    there = first('gnuhealth.patient', ('party', '=', party.id))
    if there:
        return there
    made = Model.get('gnuhealth.patient')(party=party)
    made.save()
    return made


def sold_services():
    "The accounting category of services: an invoice takes the account of revenue from it."
    there = first('product.category', ('accounting', '=', True))
    if there:
        return there
    made = Model.get('product.category')(name="Services", accounting=True)
    made.account_revenue = first('account.account', ('type.revenue', '=', True))
    made.account_expense = first('account.account', ('type.expense', '=', True))
    made.save()
    return made


def service_product(code, name, category):
    if first('product.product', ('code', '=', code)):
        return
    unit = first('product.uom', ('symbol', '=', 'u'))
    template = Model.get('product.template')(
        name=name, type='service', default_uom=unit,
        list_price=Decimal(0), code=code, account_category=category)
    template.save()


def main(uri, conf, path):
    session = config.set_trytond(uri, config_file=conf)
    with open(path) as file:
        wanted = json.load(file)
    clinic = institution(wanted.get('institution', "Clinic"))
    company = Model.get('company.company').find([], limit=1)[0]
    of_company(Model.get('res.user')(1), company)
    session._context = dict(session.context, company=company.id)
    books(company)
    category = sold_services()
    service_product('CONSULT', "Consultation", category)
    for row in wanted.get('products', []):
        service_product(row['code'], row['name'], category)
    groups = Model.get('res.group').find([('name', 'like', '%Health%')])
    for login in wanted.get('readers', []):
        user(login, login, groups, company)
    books_of = Model.get('res.group').find([('name', 'like', 'Account%')])
    for login in wanted.get('accountants', []):
        user(login, login, books_of, company)
    doctors = {row['ref']: doctor(row, clinic, groups, company)
        for row in wanted['doctors']}
    patients = {row['ref']: patient(row) for row in wanted['patients']}
    made = 0
    for row in wanted.get('appointments', []):
        at = datetime.datetime.fromisoformat(row['at'])
        who, whom = doctors[row['doctor']], patients[row['patient']]
        if first('gnuhealth.appointment', ('patient', '=', whom.id),
                ('healthprof', '=', who.id), ('appointment_date', '=', at)):
            continue
        Model.get('gnuhealth.appointment')(
            patient=whom, healthprof=who, institution=clinic,
            appointment_date=at, state='confirmed').save()
        made += 1
    print(f"{len(doctors)} doctors, {len(patients)} patients, {made} new appointments")


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
