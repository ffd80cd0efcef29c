//! A browser in three words, out of what it calls itself.

/// A browser's description of itself in three words; `None` if it is not a usual one.
pub fn browser(agent: &str) -> Option<String> {
    const PROGRAMS: &[(&str, &str)] = &[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("YaBrowser/", "Yandex Browser"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Version/", "Safari"),
    ];
    const SYSTEMS: &[(&str, &str)] = &[
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let (mark, program) = PROGRAMS.iter().find(|(mark, _)| agent.contains(mark))?;
    let version: String = agent.split(mark).nth(1)?.chars().take_while(char::is_ascii_digit).collect();
    let system = SYSTEMS.iter().find(|(mark, _)| agent.contains(mark)).map_or("", |(_, name)| name);
    Some(format!("{program} {version} · {system}"))
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn usual_browsers_are_named_in_words() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        assert_eq!(browser(chrome).as_deref(), Some("Chrome 156 · Linux"));
        assert_eq!(browser("curl/8.1"), None);
    }
}
