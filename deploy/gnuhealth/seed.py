"""Puts doctors, patients and appointments into a GNU Health database: for the demonstration and for tests. What is there
already, by its reference, is left as it is.

    python seed.py DATABASE-URI TRYTOND-CONF PEOPLE.json

PEOPLE.json: {"institution": "…", "readers": [login],
    "doctors": [{"ref", "login", "given", "family", "gender": "f"|"m", "birth": "YYYY-MM-DD"}],
    "patients": [{"ref", "given", "family", "gender", "birth"}],
    "appointments": [{"patient": ref, "doctor": ref, "at": "YYYY-MM-DDTHH:MM:SS" in UTC}],
    "products": [{"code", "name"}]}
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


def doctor(row, clinic, groups):
    party = person(row, is_healthprof=True)
    if not party.internal_user:
        user = first('res.user', ('login', '=', row['login']))
        if not user:
            user = Model.get('res.user')(
                name=f"{row['given']} {row['family']}", login=row['login'])
            for group in groups:
                user.groups.append(Model.get('res.group')(group.id))
            user.save()
        party.internal_user = user
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


def service_product(code, name):
    if first('product.product', ('code', '=', code)):
        return
    unit = first('product.uom', ('symbol', '=', 'u'))
    template = Model.get('product.template')(
        name=name, type='service', default_uom=unit,
        list_price=Decimal(0), code=code)
    template.save()


def main(uri, conf, path):
    session = config.set_trytond(uri, config_file=conf)
    with open(path) as file:
        wanted = json.load(file)
    clinic = institution(wanted.get('institution', "Clinic"))
    user = Model.get('res.user')(1)
    company = Model.get('company.company').find([], limit=1)[0]
    if company not in user.companies:
        user.companies.append(Model.get('company.company')(company.id))
        user.company = company
        user.save()
    session._context = dict(session.context, company=company.id)
    service_product('CONSULT', "Consultation")
    for row in wanted.get('products', []):
        service_product(row['code'], row['name'])
    groups = Model.get('res.group').find([('name', 'like', '%Health%')])
    for login in wanted.get('readers', []):
        if not first('res.user', ('login', '=', login)):
            reader = Model.get('res.user')(name=login, login=login)
            for group in groups:
                reader.groups.append(Model.get('res.group')(group.id))
            reader.save()
    doctors = {row['ref']: doctor(row, clinic, groups) for row in wanted['doctors']}
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
