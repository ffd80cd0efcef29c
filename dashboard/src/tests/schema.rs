//! Whether a JSON value is what the description says: enough of JSON Schema for what we write in it, and it fails at
//! a keyword that it does not know.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::api::openapi::document;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(document()).unwrap());

/// Whether `value` fits the schema of this name.
pub fn fits(value: &Value, name: &str) -> Result<(), String> {
    let schema = DOCUMENT.pointer(&format!("/components/schemas/{name}"));
    check(value, schema.ok_or_else(|| format!("no schema {name}"))?, name)
}

fn check(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    let schema = schema.as_object().ok_or_else(|| format!("{at}: no schema"))?;
    for (keyword, wanted) in schema {
        match keyword.as_str() {
            "description" | "example" | "title" | "format" | "default" => {}
            "$ref" => {
                let target = wanted.as_str().and_then(|text| DOCUMENT.pointer(text.strip_prefix('#')?));
                check(value, target.ok_or_else(|| format!("{at}: {wanted} leads nowhere"))?, at)?;
            }
            "type" => is_type(value, wanted, at)?,
            "enum" => {
                let known = wanted.as_array().is_some_and(|all| all.contains(value));
                known.then_some(()).ok_or_else(|| format!("{at}: {value} is not in the list"))?;
            }
            "properties" | "required" | "additionalProperties" => object(value, schema, at)?,
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(item, wanted, &format!("{at}/{n}"))?;
                }
            }
            "minimum" | "maximum" => {
                let (number, bound) = (value.as_f64().unwrap_or(0.0), wanted.as_f64().unwrap());
                let good = if keyword == "minimum" { number >= bound } else { number <= bound };
                good.then_some(()).ok_or_else(|| format!("{at}: {value} against {keyword} {wanted}"))?;
            }
            "maxLength" | "minLength" | "maxItems" | "minItems" | "uniqueItems" => {}
            "pattern" => pattern(value, wanted.as_str().unwrap(), at)?,
            "oneOf" | "anyOf" => {
                let fits = wanted.as_array().unwrap().iter().any(|one| check(value, one, at).is_ok());
                fits.then_some(()).ok_or_else(|| format!("{at}: none of the possible forms"))?;
            }
            other => return Err(format!("{at}: the keyword {other} is not known to this check")),
        }
    }
    Ok(())
}

fn is_type(value: &Value, wanted: &Value, at: &str) -> Result<(), String> {
    let names: Vec<&str> = match wanted {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let fits = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    if names.iter().any(fits) { Ok(()) } else { Err(format!("{at}: {value} is no {names:?}")) }
}

fn object(value: &Value, schema: &Map<String, Value>, at: &str) -> Result<(), String> {
    let Some(fields) = value.as_object() else { return Ok(()) };
    let known = schema.get("properties").and_then(Value::as_object);
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap();
        if !fields.contains_key(name) {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    for (name, field) in fields {
        match known.and_then(|known| known.get(name)) {
            Some(schema) => check(field, schema, &format!("{at}/{name}"))?,
            None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                return Err(format!("{at}: {name} is not described"));
            }
            None => {}
        }
    }
    Ok(())
}

/// The patterns that we use: ids and hashes in hexadecimal digits.
fn pattern(value: &Value, pattern: &str, at: &str) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let length = pattern.strip_prefix("^[0-9a-f]{").and_then(|rest| rest.strip_suffix("}$"));
    let length: usize = length.and_then(|length| length.parse().ok()).ok_or_else(|| format!("{at}: {pattern}?"))?;
    let good = text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    good.then_some(()).ok_or_else(|| format!("{at}: {text:?} against {pattern}"))
}

#[test]
fn the_check_sees_what_is_missing_and_what_is_too_much() {
    let good = serde_json::json!({"type": "/api#x", "title": "t", "status": 404});
    fits(&good, "ProblemBody").unwrap();
    let extra = serde_json::json!({"type": "/api#x", "title": "t", "status": 404, "stack": "secret"});
    assert!(fits(&extra, "ProblemBody").unwrap_err().contains("stack"));
    let missing = serde_json::json!({"type": "/api#x", "title": "t"});
    assert!(fits(&missing, "ProblemBody").unwrap_err().contains("status"));
    let wrong = serde_json::json!({"type": "/api#x", "title": "t", "status": "404"});
    assert!(fits(&wrong, "ProblemBody").is_err());
}
