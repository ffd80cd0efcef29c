use super::*;

fn settings(listen: &str, tls: Option<crate::settings::TlsFiles>) -> AcsLinkListener {
    AcsLinkListener { listen: Some(listen.parse().unwrap()), node: "gw-1".to_owned(), tls }
}

fn clock() -> Clock {
    Clock::new(|| domain::UtcMillis(0))
}

#[test]
fn plain_tcp_is_for_loopback_only() {
    assert!(prepare(&settings("127.0.0.1:0", None), &clock()).is_ok());
    assert!(prepare(&settings("[::1]:0", None), &clock()).is_ok());
    for address in ["0.0.0.0:7443", "192.168.1.5:7443", "[::]:7443"] {
        let problem = prepare(&settings(address, None), &clock()).unwrap_err();
        assert!(problem.contains("on this machine only") && problem.contains(address), "{problem}");
    }
}

#[test]
fn a_node_that_is_no_name_and_missing_files_are_named() {
    let wrong = AcsLinkListener { node: "gw 1".into(), ..settings("127.0.0.1:0", None) };
    assert!(prepare(&wrong, &clock()).unwrap_err().contains("is no name"));
    let files = crate::settings::TlsFiles { ca: "/nowhere/ca".into(), cert: "/c".into(), key: "/k".into() };
    assert!(prepare(&settings("0.0.0.0:0", Some(files)), &clock()).unwrap_err().contains("/nowhere/ca"));
}
