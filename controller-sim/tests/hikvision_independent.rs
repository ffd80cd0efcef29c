//! A client that we did not write talks to the simulated terminal: digest authentication and XML of Python's standard
//! library. What it understands, our adapter's opposite number says rightly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use controller_sim::hikvision::{DeviceSettings, DoorMode, HikvisionDevice};
use domain::{Clock, UtcMillis};
use tokio::process::Command;

const CLIENT: &str = r#"
import json, sys, urllib.error, urllib.request
import xml.etree.ElementTree as ET

base, user, password = sys.argv[1:4]

def opener(password):
    keys = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    keys.add_password(None, base, user, password)
    return urllib.request.build_opener(urllib.request.HTTPDigestAuthHandler(keys))

good = opener(password)

def call(method, path, body=None):
    request = urllib.request.Request(base + path, data=body and body.encode(), method=method)
    with good.open(request, timeout=10) as reply:
        return reply.read().decode()

info = ET.fromstring(call("GET", "/ISAPI/System/deviceInfo"))
space = "{http://www.isapi.org/ver20/XMLSchema}"
assert info.tag == space + "DeviceInfo", info.tag
assert info.find(space + "serialNumber").text == "DS-K1T671-SIM-0001"
time = ET.fromstring(call("GET", "/ISAPI/System/time"))
assert time.find(space + "localTime").text == "2026-11-21T13:00:00+03:00", ET.tostring(time)

user_info = {"UserInfo": {"employeeNo": "7", "name": "-", "userType": "normal", "Valid": {"enable": False},
                          "doorRight": "1", "RightPlan": [{"doorNo": 1, "planTemplateNo": "1"}]}}
answer = json.loads(call("POST", "/ISAPI/AccessControl/UserInfo/Record?format=json", json.dumps(user_info)))
assert answer["statusCode"] == 1, answer
card = {"CardInfo": {"employeeNo": "7", "cardNo": "3735928559", "cardType": "normalCard"}}
answer = json.loads(call("POST", "/ISAPI/AccessControl/CardInfo/Record?format=json", json.dumps(card)))
assert answer["statusCode"] == 1, answer
try:
    call("POST", "/ISAPI/AccessControl/CardInfo/Record?format=json", json.dumps(card))
    raise SystemExit("a card was taken twice")
except urllib.error.HTTPError as error:
    assert json.loads(error.read())["subStatusCode"] == "cardNoAlreadyExist"

order = "<RemoteControlDoor><cmd>alwaysOpen</cmd></RemoteControlDoor>"
done = ET.fromstring(call("PUT", "/ISAPI/AccessControl/RemoteControl/door/1", order))
assert done.find(space + "statusCode").text == "1"

search = {"AcsEventCond": {"searchID": "1", "searchResultPosition": 0, "maxResults": 30, "major": 0, "minor": 0,
                           "startTime": "2026-11-21T00:00:00+03:00", "endTime": "2026-11-22T00:00:00+03:00"}}
found = json.loads(call("POST", "/ISAPI/AccessControl/AcsEvent?format=json", json.dumps(search)))["AcsEvent"]
assert found["responseStatusStrg"] == "OK" and found["numOfMatches"] == 1, found
assert found["InfoList"][0]["major"] == 3 and found["InfoList"][0]["minor"] == 0x402, found

try:
    opener("wrong").open(base + "/ISAPI/System/deviceInfo", timeout=10)
    raise SystemExit("a wrong password was taken")
except urllib.error.HTTPError as error:
    assert error.code == 401, error
except ValueError:
    pass
print("understood")
"#;

fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let venv = std::env::var_os("TAPWARD_VENV").map_or_else(|| root.join("target/venv"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(python.exists(), "{} is missing: run `make prepare`", python.display());
    python
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_making_understands_the_terminal() {
    let clock = Clock::new(|| UtcMillis::from_rfc3339("2026-11-21T10:00:00Z").unwrap());
    let settings = DeviceSettings::new(clock);
    let password = settings.password.to_string();
    let device = HikvisionDevice::start(settings).await.unwrap();
    let mut client = Command::new(python());
    client.args(["-c", CLIENT, &device.url(), "admin", &password]).env_remove("http_proxy").env("no_proxy", "*");
    let output = client.output().await.unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim(), "understood", "{failed}");
    assert_eq!(device.door(1), Some(DoorMode::Open));
    assert_eq!(device.knows(), (1, 1));
    assert!(device.refusals() >= 1);
}
