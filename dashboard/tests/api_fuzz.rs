//! The HTTP API against a tester that we did not write: schemathesis reads the description from the running server and
//! sends what it allows and what it forbids. No fault of the server, no answer that is not described, nothing let in
//! without a key.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it tried"
)]

mod scene;
mod server;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use domain::Permission;
use server::Server;
use tokio::process::Command;

/// Cases for each call, kind of key and phase.
const EXAMPLES: &str = "12";
/// Fewer cases than this mean that the tester did not see the description.
const CASES_MIN: u32 = 100;
/// So much of what the tester says is shown when it finds something, in bytes from the end.
const SAID_MAX_BYTES: usize = 8000;
/// How long one run may take.
const RUN_WITHIN: Duration = Duration::from_secs(80);
/// What every answer must hold to. Left out is what supposes that well-formed data are always accepted (a pseudonym may
/// be nobody's, a purpose may be forbidden).
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
     response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth";

fn schemathesis() -> PathBuf {
    let venv = std::env::var_os("TAPWARD_VENV").map(PathBuf::from);
    let venv = venv.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/venv")));
    let program = venv.join("bin/st");
    assert!(program.exists(), "schemathesis is missing: {}; run `make prepare`", program.display());
    program
}

async fn run(server: &Server, key: Option<&str>, checks: &str, more: &[&str]) {
    let mut command = Command::new(schemathesis());
    command
        .arg("run")
        .arg(server.url("/api/v1/openapi.json"))
        .args(["--checks", checks, "--max-examples", EXAMPLES, "--seed", "1", "--workers", "1"])
        .args(["--phases", "examples,coverage,fuzzing", "--no-color", "--generation-database", "none"])
        .args(["--request-timeout", "20", "--continue-on-failure", "--warnings", "off"])
        .arg("--tls-verify")
        .arg(server.certificate())
        .args(more)
        .current_dir(server.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(key) = key {
        command.arg("--header").arg(format!("Authorization: Bearer {key}"));
    }
    let output = tokio::time::timeout(RUN_WITHIN, command.output()).await.expect("within its time").unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let said = said.replace(key.unwrap_or("no key"), "KEY");
    let end = &said[said.floor_char_boundary(said.len().saturating_sub(SAID_MAX_BYTES))..];
    assert!(output.status.success(), "{end}");
    let tried = said.lines().find(|line| line.contains("generated,")).unwrap_or_default().trim().to_owned();
    let cases: u32 = tried.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(cases >= CASES_MIN, "something was tried: {end}");
    println!("{tried}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_tester_finds_no_answer_that_is_not_described() {
    let server = Server::start(vec![]).await;
    let full = server.full_key().await;
    run(&server, Some(&full), CHECKS, &[]).await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_tester_gets_nowhere_with_a_narrow_key_or_none() {
    let server = Server::start(vec![]).await;
    let narrow = server.key(&[Permission::DevicesSee]).await;
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    run(&server, Some(&narrow), checks, &["--phases", "coverage"]).await;
    run(&server, None, checks, &["--phases", "coverage"]).await;
    server.end().await;
}
