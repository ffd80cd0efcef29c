"""An independent client of the service, made by zeep from the service's own description.

Usage: client.py URL VERSION; VERSION is 1.1 or 1.2. Talks to the test by lines: prints JSON, waits for a line.
"""

import datetime
import json
import sys
import uuid

import zeep

url, version = sys.argv[1], sys.argv[2]
client = zeep.Client(url + "?WSDL", settings=zeep.Settings(strict=True, xml_huge_tree=False))
port = "IntegrationServiceSoap" if version == "1.1" else "IntegrationServiceSoap12"
service = client.bind("IntegrationService", port)
NS = "{http://parsec.ru/Parsec3IntergationService}"
FIELDS = {
    "at": "2c5ee108-28e3-4dcc-8c95-7f3222d8e67f",
    "code": "57ca38e4-ed6f-4d12-adcb-2faa16f950d7",
    "source": "633904b5-971b-4751-96a0-92dc03d5f616",
    "person": "7c6d82a0-c8c8-495b-9728-357807193d23",
    "card": "0de358e0-c91b-4333-b902-000000000005",
}


def typed(name):
    return client.get_type(NS + name)


def say(**what):
    print(json.dumps(what, default=str), flush=True)


def wait():
    line = sys.stdin.readline()
    if not line:
        sys.exit("the test is gone")
    return line.strip()


def good(result):
    assert result.Result == 0, result
    return getattr(result, "Value", None)


# Signing in.
refused = service.OpenSession("SYSTEM", "parsec", "wrong")
assert refused.Result == -1 and refused.ErrorMessage and refused.Value is None, refused
session = good(service.OpenSession("SYSTEM", "parsec", "parsec"))
assert service.ContinueSession(session.SessionID) == 0
territories = service.GetTerritoriesHierarhy(session.SessionID)
types = {kind.ID: kind.NAME for kind in service.GetTransactionTypes(session.SessionID, -1)}
assert types[590144] == "Нормальный вход по ключу", types

# A person with a temporary card, by an editing session.
person = str(uuid.uuid4())
made = typed("Person")(
    ID=person, FIRST_NAME="Анна", LAST_NAME="Проба <&>", MIDDLE_NAME="", TAB_NUM="17", ORG_ID=session.RootOrgUnitID
)
assert good(service.CreatePerson(session.SessionID, made)) == person
edit = good(service.OpenPersonEditingSession(session.SessionID, person))
assert service.OpenPersonEditingSession(session.SessionID, person).Result == -1, "edited twice at once"
now = datetime.datetime.fromisoformat("2026-11-21T00:00:00+00:00")
card = typed("IdentifierTemp")(
    CODE="000A2711",
    PERSON_ID=person,
    IS_PRIMARY=True,
    ACCGROUP_ID="a0000000-0000-0000-0000-000000000001",
    PRIVILEGE_MASK=0,
    IDENTIFTYPE=0,
    NAME="",
    VALID_FROM=now,
    VALID_TO=now + datetime.timedelta(days=2),
)
good(service.AddPersonIdentifier(edit, card))
service.ClosePersonEditingSession(edit)
[told] = service.GetPersonIdentifiers(session.SessionID, person)
assert type(told).__name__ == "IdentifierTemp" and told.CODE == "000A2711" and told.VALID_FROM == now, told
found = service.FindPersonByIdentifier(session.SessionID, "000A2711")
assert found.LAST_NAME == "Проба <&>" and found.TAB_NUM == "17", found
assert service.FindPersonByIdentifier(session.SessionID, "0BADCAFE") is None
say(territories=[[t.ID, t.TYPE, t.NAME] for t in territories], person=person)

# The test lets somebody pass; what does the report say?
wait()
parameters = typed("EventHistoryQueryParams")(
    ParentEventID=None,
    StartDate=now,
    EndDate=None,
    StartTime0=None,
    EndTime0=None,
    StartTime1=None,
    EndTime1=None,
    EventsWithoutUser=None,
    MaxResultSize=100,
    UseLocalTime=False,
)
history = good(service.OpenEventHistorySession(session.SessionID, parameters))
count = service.GetEventHistoryResultCount(session.SessionID, history)
page = service.GetEventHistoryResult(
    session.SessionID, history, typed("ArrayOfGuid")(list(FIELDS.values())), 0, count
)
service.CloseEventHistorySession(session.SessionID, history)
rows = [dict(zip(FIELDS, event.Values.anyType)) for event in page]
say(count=count, events=[dict(row, at=row["at"].isoformat()) for row in rows])

# What the other client has told the server.
wait()
ours = service.FindPersonByIdentifier(session.SessionID, "000A03E9")
cards = service.GetPersonIdentifiers(session.SessionID, ours.ID)
say(name=ours.LAST_NAME, id=ours.ID, cards=[card.CODE for card in cards])

# Withdrawing, blocking, visitors, hardware, and a guard's answer that nobody waits for.
good(service.DeleteIdentifier(session.SessionID, "000A2711"))
assert service.DeleteIdentifier(session.SessionID, "000A2711").Result == -1
edit = good(service.OpenPersonEditingSession(session.SessionID, person))
good(service.BlockPerson(edit, 1))
good(service.UnblockPerson(edit))
service.ClosePersonEditingSession(edit)
visitor = good(service.CreateVisitor(session.SessionID, typed("Person")(ID=str(uuid.uuid4()), ORG_ID=session.RootOrgUnitID)))
request = typed("VisitorRequest")(
    ID="00000000-0000-0000-0000-000000000000",
    NUMBER=0,
    DATE=now,
    ORGUNIT_ID=session.RootOrgUnitID,
    PERSON_ID=visitor,
    STATUS=0,
    ADMIT_START=now,
    ADMIT_END=now + datetime.timedelta(hours=4),
)
request = service.CreateVisitorRequest(session.SessionID, request)
good(service.ActivateVisitorRequest(session.SessionID, request.ID, "00FFFFFF"))
good(service.CloseVisitorRequest(session.SessionID, request.ID))
door = next(t.ID for t in territories if t.TYPE == 1)
[state] = service.GetHardwareState(session.SessionID, typed("ArrayOfGuid")([door]))
assert state.TerritoryID == door
assert service.SendVerificationCommand(session.SessionID, door, person, False).Result == -1
subscription = good(
    service.EventsSubscribe(session.SessionID, typed("AdvancedEventFilter")(), 0, 0, "http://127.0.0.1:9/")
)
good(service.EventsSubscribeCheck(session.SessionID, subscription))
good(service.EventsUnsubscribe(session.SessionID, subscription))
service.CloseSession(session.SessionID)
assert service.ContinueSession(session.SessionID) != 0
try:
    service.GetTerritoriesHierarhy(session.SessionID)
    sys.exit("answered without a session")
except zeep.exceptions.Fault:
    pass
say(done=True)
