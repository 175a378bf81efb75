//! The Lambda's event.

use serde_json::{Map, Value, json};
use zipedit_lambda::{Event, Source};

use crate::choices::Choices;

/// Stands in every content, and in no message.
const CONTENT: &str = "THE-CONTENT";

/// Any JSON, or one made of what an event is made of: taken as it stands, or refused without telling the contents.
pub fn run(data: &[u8]) -> bool {
    match serde_json::from_slice(data) {
        Ok(event) => takes(event),
        Err(_) => refuses_discreetly(Choices::new(data)),
    }
}

fn takes(event: Value) -> bool {
    let Ok(mut event) = Event::parse(event) else { return false };
    let again = serde_json::to_value(&event).unwrap();
    if event.changes.is_empty() && event.overlay.is_none() {
        // What is empty isn't written, and one of both has to be there.
        return true;
    }
    assert_eq!(Event::parse(again.clone()).as_ref(), Ok(&event), "{again}");
    if let Ok(source) = Source::parse(&event.src) {
        assert!(!source.bucket.is_empty() && !source.key.is_empty());
    }
    let _ = event.stamp();
    let names: Vec<String> = event.changes.keys().cloned().collect();
    let Ok(changes) = event.changes() else { return false };
    assert!(changes.iter().map(|(name, _)| name.as_str()).eq(names.iter().map(String::as_str)));
    true
}

fn refuses_discreetly(mut choices: Choices) -> bool {
    let event = event(&mut choices);
    let said = match Event::parse(event.clone()) {
        Err(error) => error.to_string(),
        Ok(mut event) => {
            [event.stamp().err().map(|error| error.to_string()), event.changes().err().map(|error| error.to_string())]
                .into_iter()
                .flatten()
                .collect()
        }
    };
    assert!(!said.contains(CONTENT), "{event}: {said}");
    takes(event)
}

/// Mostly an event; contents are in the places of contents, whatever else is wrong with it.
fn event(choices: &mut Choices) -> Value {
    let mut event = Map::new();
    if !choices.once_in(8) {
        event.insert("src".into(), choices.pick(&[json!("s3://b/k"), json!("b/k/l"), json!("s3://"), json!(7)]));
    }
    let mut changes = Map::new();
    for _ in 0..choices.below(4) {
        let bad = choices.once_in(8);
        let name = match bad {
            true => choices.pick(&["../x", "", "/x", "a\\b", "c:x", "x\u{0}"]),
            false => choices.pick(&["a", "b/c", "ü", "src/x.js"]),
        };
        changes.insert(name.into(), change(choices));
    }
    match choices.below(16) {
        0 => {}
        1 => drop(event.insert("changes".into(), json!(CONTENT))),
        2 => drop(event.insert("changes".into(), json!([changes]))),
        _ => drop(event.insert("changes".into(), changes.into())),
    }
    for (field, values) in [
        ("overlay", [json!("s3://b/o"), json!(null), json!(CONTENT)]),
        ("ifMatch", [json!("\"e\""), json!(null), json!(5)]),
        ("dryRun", [json!(true), json!(CONTENT), json!(1)]),
        ("metadata", [json!({"quickdeploy-by": "me"}), json!({"x": "y"}), json!({"quickdeploy-by": "\u{7}"})]),
        ("chnages", [json!({}), json!(CONTENT), json!(null)]),
    ] {
        match choices.below(12) {
            0 | 1 if field != "chnages" => drop(event.insert(field.into(), values[0].clone())),
            2 => drop(event.insert(field.into(), choices.pick(&values))),
            _ => {}
        }
    }
    event.into()
}

fn change(choices: &mut Choices) -> Value {
    let text =
        format!("{}{CONTENT}{}", choices.pick(&["", "\"", "string \"", "`"]), choices.pick(&["", "\", expected"]));
    match choices.below(16) {
        0 => json!(text),
        1 => json!(null),
        2 => json!({"text": text}),
        3 => json!({"base64": choices.pick(&["VEhFLUNPTlRFTlQ=", "%THE-CONTENT", "", "VEhF\n"])}),
        4 => json!({"text": text, "mode": choices.pick(&["0644", "999", "+7", "", "77777777777777", "-1"])}),
        5 => json!({"text": text, "base64": text}),
        6 => json!([text]),
        7 => json!({"text": [text], "mode": 420}),
        8 => json!({"txet": text}),
        _ => choices.pick(&[json!(text), json!({"text": text, "mode": "0644"}), json!({"base64": "AAEC"})]),
    }
}
