//! What the simulated service answers to each call.

use domain::UtcMillis;
use wire::parsec::event::{Event, FIELDS, field};
use wire::parsec::object::{HardwareState, HistoryQuery, Person, Session, TERRITORY_DOOR, Territory};
use wire::parsec::{Answer, Code, Fault, Guid, Request};

use super::model::{Kept, Model};

/// Events of a report that asks for no other number.
const REPORT_DEFAULT: usize = 5000;

impl Model {
    /// Carries a call out.
    pub(super) fn serve(&mut self, call: Request, now: UtcMillis) -> Result<Answer, Fault> {
        let method = call.method();
        *self.calls.entry(method).or_default() += 1;
        if self.faults.without.contains(&method) {
            return Err(fault("Client", "Server did not recognize the value of HTTP Header SOAPAction"));
        }
        if self.faults.fail_next > 0 {
            self.faults.fail_next -= 1;
            return Err(fault("Server", "Object reference not set to an instance of an object."));
        }
        if let Request::ContinueSession { session } = call {
            return Ok(Answer::Int(if self.session(session, now) { 0 } else { -1 }));
        }
        if let Some(session) = call.session()
            && !self.session(session, now)
            && !matches!(call, Request::CloseSession { .. })
        {
            return self.without_session(method);
        }
        Ok(match call {
            Request::GetVersion => Answer::Text("3.10.0.0 (simulated)".into()),
            Request::OpenSession { domain, user, password } => {
                let known = &self.settings;
                let right = known.domain == domain && known.user == user && known.password == password.reveal();
                Answer::Session(match &self.faults.refuse_login {
                    Some(words) => Err(words.clone()),
                    None if !right => Err("Неверное имя пользователя или пароль".into()),
                    None => {
                        let id = self.guid();
                        self.sessions.insert(id, now);
                        Ok(Session { id, root_org_unit: self.root_org_unit, root_territory: self.root_territory })
                    }
                })
            }
            Request::CloseSession { session } => {
                self.sessions.remove(&session);
                self.edits.retain(|_, (_, owner)| *owner != session);
                Answer::Nothing
            }
            Request::GetTerritoriesHierarhy { .. } => Answer::Territories(self.territories()),
            Request::GetTransactionTypes { .. } => Answer::Types(Self::dictionary()),
            Request::OpenEventHistorySession { query, .. } => {
                let events = self.history(&query);
                Answer::Guid(Ok(self.make_report(events)))
            }
            Request::GetEventHistoryResultCount { history, .. } => {
                let report = self.reports.iter().find(|(id, _)| *id == history);
                Answer::Int(report.map_or(-1, |(_, events)| i64::try_from(events.len()).unwrap_or(i64::MAX)))
            }
            Request::GetEventHistoryResult { history, fields, offset, count, .. } => {
                self.page(history, &fields, offset, count)?
            }
            Request::CloseEventHistorySession { history, .. } => {
                self.reports.retain(|(id, _)| *id != history);
                Answer::Nothing
            }
            Request::GetHardwareEvents { from, .. } => {
                let from = usize::try_from(from).unwrap_or(0);
                Answer::Lines(self.events.iter().skip(from).map(|kept| kept.event.code.to_string()).collect())
            }
            Request::EventsSubscribe { url, .. } => {
                let subscription = self.guid();
                self.subscriptions.insert(subscription, url);
                Answer::Guid(Ok(subscription))
            }
            Request::EventsSubscribeCheck { subscription, .. } => {
                done(self.subscriptions.contains_key(&subscription), "Подписка не найдена")
            }
            Request::EventsUnsubscribe { subscription, .. } => {
                done(self.subscriptions.remove(&subscription).is_some(), "Подписка не найдена")
            }
            Request::SendVerificationCommand { territory, person, allow, .. } => {
                let waiting = self.asking.remove(&(territory, person));
                done(waiting.is_some_and(|waiting| waiting.send(allow).is_ok()), "Нет запроса верификации")
            }
            Request::SendHardwareCommand { territory, command, .. } => {
                let known = self.settings.doors.iter().any(|door| door.id == territory);
                if known {
                    self.commands.push((territory, command));
                }
                done(known, "Территория не найдена")
            }
            Request::GetHardwareState { territories, .. } => {
                let state = |territory: &Guid| Some((*territory, *self.hardware.get(territory)?));
                let states = territories.iter().filter_map(state);
                Answer::Hardware(states.map(|(territory, state)| HardwareState { territory, state }).collect())
            }
            other => self.serve_people(other),
        })
    }

    fn serve_people(&mut self, call: Request) -> Answer {
        match call {
            Request::GetPerson { person, .. } => Answer::Person(self.persons.get(&person).cloned()),
            Request::FindPersonByIdentifier { code, .. } => {
                let holder = self.card(&code).and_then(|card| self.persons.get(&card.person));
                Answer::Person(holder.cloned())
            }
            Request::GetPersonIdentifiers { person, .. } => {
                Answer::Identifiers(self.cards.iter().filter(|card| card.person == person).cloned().collect())
            }
            Request::CreatePerson { person, .. } => self.create(person, false),
            Request::CreateVisitor { person, .. } => self.create(person, true),
            Request::DeletePerson { person, .. } => {
                self.cards.retain(|card| card.person != person);
                done(self.persons.remove(&person).is_some(), "Персона не найдена")
            }
            Request::OpenPersonEditingSession { session, person } => {
                if !self.persons.contains_key(&person) {
                    return Answer::Guid(Err("Персона не найдена".into()));
                }
                if self.edits.values().any(|(edited, _)| *edited == person) {
                    return Answer::Guid(Err("Персона уже редактируется".into()));
                }
                let edit = self.guid();
                self.edits.insert(edit, (person, session));
                Answer::Guid(Ok(edit))
            }
            Request::ClosePersonEditingSession { edit } => {
                self.edits.remove(&edit);
                Answer::Nothing
            }
            Request::SavePerson { edit, person } => self.editing(edit, |model, id| {
                model.persons.insert(id, Person { id, ..person });
                Ok(())
            }),
            Request::BlockPerson { edit, kind } => self.editing(edit, |model, id| {
                model.blocked.insert(id, kind);
                Ok(())
            }),
            Request::UnblockPerson { edit } => self.editing(edit, |model, id| {
                model.blocked.remove(&id);
                Ok(())
            }),
            Request::AddPersonIdentifier { edit, identifier } => self.editing(edit, |model, id| {
                if model.card(&identifier.code).is_some() {
                    return Err("Идентификатор уже используется".into());
                }
                model.cards.push(wire::parsec::object::Identifier { person: id, ..identifier });
                Ok(())
            }),
            Request::ChangePersonIdentifier { edit, identifier } => self.editing(edit, |model, id| {
                let card = model.cards.iter_mut().find(|card| card.code == identifier.code && card.person == id);
                *card.ok_or("Идентификатор не найден")? = wire::parsec::object::Identifier { person: id, ..identifier };
                Ok(())
            }),
            Request::DeleteIdentifier { code, .. } => {
                let before = self.cards.len();
                self.cards.retain(|card| card.code != code);
                done(self.cards.len() < before, "Идентификатор не найден")
            }
            Request::CreateVisitorRequest { mut request, .. } => {
                if !self.visitors.contains(&request.person) {
                    return Answer::VisitorRequest(None);
                }
                request.id = self.guid();
                request.number = i64::try_from(self.requests.len()).unwrap_or(i64::MAX).saturating_add(1);
                self.requests.push((request.clone(), None));
                Answer::VisitorRequest(Some(request))
            }
            Request::ActivateVisitorRequest { request, code, .. } => self.activate(request, code),
            Request::CloseVisitorRequest { request, .. } => {
                let closed = self.requests.iter().position(|(other, _)| other.id == request);
                match closed.map(|at| self.requests.remove(at)) {
                    Some((_, code)) => {
                        self.cards.retain(|card| Some(&card.code) != code.as_ref());
                        done(true, "")
                    }
                    None => done(false, "Заявка не найдена"),
                }
            }
            Request::CloseAllActiveVisitorRequests { visitor, .. } => {
                let (closed, others) =
                    std::mem::take(&mut self.requests).into_iter().partition(|(request, _)| request.person == visitor);
                self.requests = others;
                let closed: Vec<_> = closed;
                let codes: Vec<Code> = closed.into_iter().filter_map(|(_, code)| code).collect();
                self.cards.retain(|card| !codes.contains(&card.code));
                done(true, "")
            }
            _ => Answer::Done(Err("not served".into())),
        }
    }

    fn activate(&mut self, request: Guid, code: Code) -> Answer {
        if self.card(&code).is_some() {
            return done(false, "Идентификатор уже используется");
        }
        let Some((request, card)) = self.requests.iter_mut().find(|(other, _)| other.id == request) else {
            return done(false, "Заявка не найдена");
        };
        *card = Some(code.clone());
        let made = wire::parsec::object::Identifier {
            code,
            person: request.person,
            primary: true,
            group: super::ACCESS_GROUP,
            privileges: 0,
            name: String::new(),
            valid: Some(request.admit),
        };
        self.cards.push(made);
        done(true, "")
    }

    fn create(&mut self, person: Person, visitor: bool) -> Answer {
        if self.persons.contains_key(&person.id) {
            return Answer::Guid(Err("Персона уже существует".into()));
        }
        let id = self.add_person(person);
        if visitor {
            self.visitors.push(id);
        }
        Answer::Guid(Ok(id))
    }

    fn editing(&mut self, edit: Guid, change: impl FnOnce(&mut Self, Guid) -> Result<(), String>) -> Answer {
        match self.edits.get(&edit) {
            Some((person, _)) => {
                let person = *person;
                Answer::Done(change(self, person))
            }
            None => done(false, "Сессия редактирования не найдена"),
        }
    }

    /// How the real one tells that the session is gone differs from method to method.
    fn without_session(&self, method: &str) -> Result<Answer, Fault> {
        let words = "Сессия не найдена или истекла";
        match method {
            "OpenEventHistorySession"
            | "EventsSubscribe"
            | "CreatePerson"
            | "CreateVisitor"
            | "OpenPersonEditingSession" => Ok(Answer::Guid(Err(words.into()))),
            "DeleteIdentifier"
            | "SendVerificationCommand"
            | "SendHardwareCommand"
            | "EventsSubscribeCheck"
            | "EventsUnsubscribe"
            | "DeletePerson"
            | "ActivateVisitorRequest"
            | "CloseVisitorRequest"
            | "CloseAllActiveVisitorRequests" => Ok(Answer::Done(Err(words.into()))),
            "GetPerson" | "FindPersonByIdentifier" => Ok(Answer::Person(None)),
            "GetEventHistoryResultCount" => Ok(Answer::Int(-1)),
            _ => Err(fault("Server", words)),
        }
    }

    fn territories(&self) -> Vec<Territory> {
        let root = Territory {
            id: self.root_territory,
            kind: 0,
            name: "Система".into(),
            about: String::new(),
            parent: Guid::NIL,
        };
        let door = |door: &super::Door| Territory {
            id: door.id,
            kind: TERRITORY_DOOR,
            name: door.name.clone(),
            about: String::new(),
            parent: root.id,
        };
        std::iter::once(root.clone()).chain(self.settings.doors.iter().map(door)).collect()
    }

    fn history(&self, query: &HistoryQuery) -> Vec<Event> {
        let fits = |kept: &&Kept| {
            query.from.is_none_or(|from| kept.event.at >= from)
                && query.to.is_none_or(|to| kept.event.at <= to)
                && (query.territories.is_empty() || query.territories.contains(&kept.territory))
                && (query.codes.is_empty() || query.codes.contains(&kept.event.code))
        };
        let mut events: Vec<Event> = self.events.iter().filter(fits).map(|kept| kept.event.clone()).collect();
        if self.faults.double_events {
            events = events.into_iter().flat_map(|event| [event.clone(), event]).collect();
        }
        events.sort_by_key(|event| event.at);
        events.truncate(query.most.map_or(REPORT_DEFAULT, |most| usize::try_from(most).unwrap_or(0)));
        events
    }

    fn page(&self, history: Guid, fields: &[Guid], offset: i32, count: i32) -> Result<Answer, Fault> {
        let Some((_, events)) = self.reports.iter().find(|(id, _)| *id == history) else {
            return Err(fault("Server", "Сессия отчета не найдена"));
        };
        let (offset, count) = (usize::try_from(offset).unwrap_or(0), usize::try_from(count).unwrap_or(0));
        let row = |event: &Event| {
            let values = event.write();
            let value = |wanted: &Guid| {
                // Some servers give the person in the one field only, some in the other.
                let at = FIELDS.iter().position(|known| known == wanted).filter(|_| *wanted != field::USER_ID);
                at.and_then(|at| values.get(at).cloned()).unwrap_or(wire::parsec::answer::Value::Nil)
            };
            fields.iter().map(value).collect()
        };
        Ok(Answer::Events(events.iter().skip(offset).take(count).map(row).collect()))
    }
}

fn done(done: bool, words: &str) -> Answer {
    Answer::Done(if done { Ok(()) } else { Err(words.to_owned()) })
}

pub(super) fn fault(code: &str, text: &str) -> Fault {
    Fault { code: code.to_owned(), text: text.to_owned() }
}
