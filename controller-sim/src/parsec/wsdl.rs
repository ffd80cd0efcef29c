//! The description of the simulated service (`?WSDL`), for clients that are made from one. Written from a table of
//! methods and types, with the names and orders of the real service's public description.

use std::fmt::Write;

use wire::parsec::{GUID_NAMESPACE, NAMESPACE};

/// Methods: name, parameters, result. A result that begins with `-` is none; types are those of the description.
const METHODS: &[(&str, &str, &str)] = &[
    ("GetVersion", "", "s:string"),
    ("OpenSession", "domain=s:string userName=s:string password=s:string", "tns:SessionResult"),
    ("ContinueSession", "sessionID=g:guid", "s:int"),
    ("CloseSession", "sessionID=g:guid", "-"),
    ("GetTerritoriesHierarhy", "sessionID=g:guid", "tns:ArrayOfTerritory"),
    ("GetTransactionTypes", "sessionID=g:guid classMask=s:int", "tns:ArrayOfTransactionType"),
    ("OpenEventHistorySession", "sessionID=g:guid parameters=tns:EventHistoryQueryParams", "tns:GuidResult"),
    ("GetEventHistoryResultCount", "sessionID=g:guid eventHistorySessionID=g:guid", "s:int"),
    (
        "GetEventHistoryResult",
        "sessionID=g:guid eventHistorySessionID=g:guid fields=tns:ArrayOfGuid offset=s:int count=s:int",
        "tns:ArrayOfEventObject",
    ),
    ("CloseEventHistorySession", "sessionID=g:guid eventHistorySessionID=g:guid", "-"),
    ("GetHardwareEvents", "sessionID=g:guid fromIndex=s:int", "tns:ArrayOfString"),
    (
        "EventsSubscribe",
        "sessionID=g:guid eventFilter=tns:EventFilter eventFormat=s:int httpMethod=s:int urlDestination=s:string",
        "tns:GuidResult",
    ),
    ("EventsSubscribeCheck", "sessionID=g:guid subscriptionID=g:guid", "tns:BaseResult"),
    ("EventsUnsubscribe", "sessionID=g:guid subscriptionID=g:guid", "tns:BaseResult"),
    ("GetPerson", "sessionID=g:guid personID=g:guid", "tns:Person"),
    ("CreatePerson", "sessionID=g:guid person=tns:Person", "tns:GuidResult"),
    ("CreateVisitor", "sessionID=g:guid person=tns:Person", "tns:GuidResult"),
    ("OpenPersonEditingSession", "sessionID=g:guid personID=g:guid", "tns:GuidResult"),
    ("ClosePersonEditingSession", "personEditSessionID=g:guid", "-"),
    ("SavePerson", "personEditSessionID=g:guid person=tns:BasePerson", "tns:BaseResult"),
    ("BlockPerson", "personEditSessionID=g:guid typeBlock=s:int", "tns:BaseResult"),
    ("UnblockPerson", "personEditSessionID=g:guid", "tns:BaseResult"),
    ("DeletePerson", "sessionID=g:guid personID=g:guid", "tns:BaseResult"),
    ("GetPersonIdentifiers", "sessionID=g:guid personID=g:guid", "tns:ArrayOfIdentifier"),
    ("FindPersonByIdentifier", "sessionID=g:guid cardCode=s:string", "tns:Person"),
    ("AddPersonIdentifier", "personEditSessionID=g:guid identifier=tns:BaseIdentifier", "tns:BaseResult"),
    ("ChangePersonIdentifier", "personEditSessionID=g:guid identifier=tns:BaseIdentifier", "tns:BaseResult"),
    ("DeleteIdentifier", "sessionID=g:guid Code=s:string", "tns:BaseResult"),
    ("CreateVisitorRequest", "sessionID=g:guid request=tns:VisitorRequest", "tns:VisitorRequest"),
    ("ActivateVisitorRequest", "sessionID=g:guid requestID=g:guid cardCode=s:string", "tns:BaseResult"),
    ("CloseVisitorRequest", "sessionID=g:guid requestID=g:guid", "tns:BaseResult"),
    ("CloseAllActiveVisitorRequests", "sessionID=g:guid visitorID=g:guid", "tns:BaseResult"),
    (
        "SendVerificationCommand",
        "sessionID=g:guid territoryID=g:guid personID=g:guid passAllow=s:boolean",
        "tns:BaseResult",
    ),
    ("SendHardwareCommand", "sessionID=g:guid territoryID=g:guid command=s:int", "tns:BaseResult"),
    ("GetHardwareState", "sessionID=g:guid territoryIDs=tns:ArrayOfGuid", "tns:ArrayOfHardwareState"),
];

/// Types: name, base or nothing, fields. A field with `?` may be nil though it must be there.
const TYPES: &[(&str, &str, &str)] = &[
    ("BaseResult", "", "Result=s:int ErrorMessage=s:string"),
    ("GuidResult", "BaseResult", "Value=g:guid"),
    ("SessionResult", "BaseResult", "Value=tns:Session"),
    ("Session", "", "SessionID=g:guid RootOrgUnitID=g:guid RootTerritoryID=g:guid"),
    ("BaseObject", "", ""),
    ("BaseTerritory", "", "ID=g:guid TYPE=s:unsignedByte NAME=s:string DESC=s:string"),
    ("Territory", "BaseTerritory", "PARENT_ID=g:guid"),
    ("TransactionType", "BaseObject", "ID=s:unsignedInt CLASS_MASK=s:int NAME=s:string"),
    (
        "EventHistoryQueryParams",
        "",
        "IDs=tns:ArrayOfGuid ParentEventID=g:guid? StartDate=s:dateTime? EndDate=s:dateTime? StartTime0=s:dateTime? \
         EndTime0=s:dateTime? StartTime1=s:dateTime? EndTime1=s:dateTime? Territories=tns:ArrayOfGuid \
         Operators=tns:ArrayOfGuid TransactionTypes=tns:ArrayOfUnsignedInt Organizations=tns:ArrayOfGuid \
         Users=tns:ArrayOfGuid EventsWithoutUser=s:boolean? MaxResultSize=s:int? UseLocalTime=s:boolean",
    ),
    ("EventObject", "BaseObject", "Values=tns:ArrayOfAnyType"),
    ("EventFilter", "BaseObject", "TransactionTypes=tns:ArrayOfUnsignedInt"),
    (
        "AdvancedEventFilter",
        "EventFilter",
        "Territories=tns:ArrayOfGuid Organizations=tns:ArrayOfGuid Users=tns:ArrayOfGuid",
    ),
    (
        "BasePerson",
        "BaseObject",
        "ID=g:guid FIRST_NAME=s:string LAST_NAME=s:string MIDDLE_NAME=s:string TAB_NUM=s:string",
    ),
    ("Person", "BasePerson", "ORG_ID=g:guid"),
    ("BaseIdentifier", "BaseObject", "CODE=s:string PERSON_ID=g:guid IS_PRIMARY=s:boolean"),
    ("Identifier", "BaseIdentifier", "ACCGROUP_ID=g:guid PRIVILEGE_MASK=s:long IDENTIFTYPE=s:int NAME=s:string"),
    ("IdentifierTemp", "Identifier", "VALID_FROM=s:dateTime VALID_TO=s:dateTime"),
    (
        "VisitorRequest",
        "",
        "ID=g:guid NUMBER=s:int DATE=s:dateTime ORGUNIT_ID=g:guid PERSON_ID=g:guid PERSON_INFO=s:string \
         PURPOSE=s:string STATUS=s:int ADMIT_START=s:dateTime ADMIT_END=s:dateTime",
    ),
    ("HardwareState", "BaseObject", "TerritoryID=g:guid State=s:unsignedLong"),
];

/// Lists: name of the list, of its items, and their type.
const LISTS: &[(&str, &str, &str)] = &[
    ("ArrayOfTerritory", "Territory", "tns:Territory"),
    ("ArrayOfTransactionType", "TransactionType", "tns:TransactionType"),
    ("ArrayOfGuid", "guid", "g:guid"),
    ("ArrayOfUnsignedInt", "unsignedInt", "s:unsignedInt"),
    ("ArrayOfString", "string", "s:string"),
    ("ArrayOfEventObject", "EventObject", "tns:EventObject"),
    ("ArrayOfAnyType", "anyType", "s:anyType"),
    ("ArrayOfIdentifier", "Identifier", "tns:Identifier"),
    ("ArrayOfHardwareState", "HardwareState", "tns:HardwareState"),
];

/// The whole description of a service at `address`.
pub(super) fn text(address: &str) -> String {
    let mut out = String::with_capacity(48 * 1024);
    let _ = write!(
        out,
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<wsdl:definitions xmlns:s=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:g=\"{GUID_NAMESPACE}\" xmlns:tns=\"{NAMESPACE}\" xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\" \
         xmlns:soap12=\"http://schemas.xmlsoap.org/wsdl/soap12/\" xmlns:wsdl=\"http://schemas.xmlsoap.org/wsdl/\" \
         targetNamespace=\"{NAMESPACE}\">\n<wsdl:types>\n"
    );
    schema(&mut out);
    out.push_str("</wsdl:types>\n");
    for (method, ..) in METHODS {
        for (way, element) in [("In", (*method).to_owned()), ("Out", format!("{method}Response"))] {
            let _ = writeln!(
                out,
                "<wsdl:message name=\"{method}Soap{way}\"><wsdl:part name=\"parameters\" element=\"tns:{element}\"/>\
                 </wsdl:message>"
            );
        }
    }
    out.push_str("<wsdl:portType name=\"IntegrationServiceSoap\">\n");
    for (method, ..) in METHODS {
        let _ = writeln!(
            out,
            "<wsdl:operation name=\"{method}\"><wsdl:input message=\"tns:{method}SoapIn\"/>\
             <wsdl:output message=\"tns:{method}SoapOut\"/></wsdl:operation>"
        );
    }
    out.push_str("</wsdl:portType>\n");
    for (prefix, binding) in [("soap", "IntegrationServiceSoap"), ("soap12", "IntegrationServiceSoap12")] {
        let _ = writeln!(
            out,
            "<wsdl:binding name=\"{binding}\" type=\"tns:IntegrationServiceSoap\">\
             <{prefix}:binding transport=\"http://schemas.xmlsoap.org/soap/http\"/>"
        );
        for (method, ..) in METHODS {
            let body = format!("<{prefix}:body use=\"literal\"/>");
            let _ = writeln!(
                out,
                "<wsdl:operation name=\"{method}\"><{prefix}:operation soapAction=\"{NAMESPACE}/{method}\" \
                 style=\"document\"/><wsdl:input>{body}</wsdl:input><wsdl:output>{body}</wsdl:output></wsdl:operation>"
            );
        }
        out.push_str("</wsdl:binding>\n");
    }
    out.push_str("<wsdl:service name=\"IntegrationService\">\n");
    for (prefix, name) in [("soap", "IntegrationServiceSoap"), ("soap12", "IntegrationServiceSoap12")] {
        let _ = writeln!(
            out,
            "<wsdl:port name=\"{name}\" binding=\"tns:{name}\"><{prefix}:address location=\"{address}\"/></wsdl:port>"
        );
    }
    out.push_str("</wsdl:service>\n</wsdl:definitions>\n");
    out
}

fn schema(out: &mut String) {
    let _ = writeln!(
        out,
        "<s:schema elementFormDefault=\"qualified\" targetNamespace=\"{NAMESPACE}\"><s:import \
         namespace=\"{GUID_NAMESPACE}\"/>"
    );
    for (method, parameters, result) in METHODS {
        let _ = write!(out, "<s:element name=\"{method}\"><s:complexType>");
        sequence(out, parameters);
        let _ = write!(out, "</s:complexType></s:element>\n<s:element name=\"{method}Response\"><s:complexType>");
        if *result != "-" {
            sequence(out, &format!("{method}Result={result}"));
        }
        out.push_str("</s:complexType></s:element>\n");
    }
    for (name, base, fields) in TYPES {
        let _ = write!(out, "<s:complexType name=\"{name}\">");
        if base.is_empty() {
            sequence(out, fields);
        } else {
            let _ = write!(out, "<s:complexContent mixed=\"false\"><s:extension base=\"tns:{base}\">");
            sequence(out, fields);
            out.push_str("</s:extension></s:complexContent>");
        }
        out.push_str("</s:complexType>\n");
    }
    for (list, item, kind) in LISTS {
        let simple = kind.starts_with("g:") || *kind == "s:unsignedInt";
        let nillable = if simple { "" } else { " nillable=\"true\"" };
        let _ = writeln!(
            out,
            "<s:complexType name=\"{list}\"><s:sequence><s:element minOccurs=\"0\" maxOccurs=\"unbounded\" \
             name=\"{item}\"{nillable} type=\"{kind}\"/></s:sequence></s:complexType>"
        );
    }
    let _ = writeln!(
        out,
        "</s:schema>\n<s:schema elementFormDefault=\"qualified\" targetNamespace=\"{GUID_NAMESPACE}\"><s:simpleType \
         name=\"guid\"><s:restriction base=\"s:string\"><s:pattern \
         value=\"[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{12}}\"/>\
         </s:restriction></s:simpleType></s:schema>"
    );
}

/// Fields `name=type`, with `?` nillable. Objects, texts and lists may be left out, the others must be there.
fn sequence(out: &mut String, fields: &str) {
    out.push_str("<s:sequence>");
    for field in fields.split_whitespace() {
        let Some((name, kind)) = field.split_once('=') else { continue };
        let (kind, nillable) = match kind.strip_suffix('?') {
            Some(kind) => (kind, " nillable=\"true\""),
            None => (kind, ""),
        };
        let least = u8::from(!kind.starts_with("tns:") && kind != "s:string");
        let _ =
            write!(out, "<s:element minOccurs=\"{least}\" maxOccurs=\"1\" name=\"{name}\"{nillable} type=\"{kind}\"/>");
    }
    out.push_str("</s:sequence>");
}

#[cfg(test)]
mod tests {
    use wire::parsec::Request;

    use super::*;

    #[test]
    fn the_description_has_every_method_and_every_type_that_it_names() {
        let described: Vec<&str> = METHODS.iter().map(|(name, ..)| *name).collect();
        for method in Request::METHODS {
            assert!(described.contains(method), "{method} is not described");
        }
        assert_eq!(described.len(), Request::METHODS.len());
        let text = text("http://localhost/");
        for part in text.split("tns:").skip(1) {
            let name: String = part.chars().take_while(char::is_ascii_alphanumeric).collect();
            let defined = text.contains(&format!(" name=\"{name}\"")) || text.contains(&format!("name=\"{name}\">"));
            assert!(defined, "{name} is not defined");
        }
        assert!(wire::parsec::tree::read(&text).is_ok());
    }
}
