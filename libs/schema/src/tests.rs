use serde_json::{Value, json};

use super::*;

fn faults(schema: &Value) -> Vec<(String, String)> {
    let refused = Schema::compile_within_limits(schema).expect_err("it should be refused");
    let pair = |fault: Mismatch| (fault.pointer, fault.description);
    refused.into_iter().map(pair).collect()
}

fn pointers(schema: &Value) -> Vec<String> {
    faults(schema).into_iter().map(|(at, _)| at).collect()
}

fn mismatches(schema: &Value, value: &Value) -> Vec<(String, String)> {
    let schema = Schema::compile_within_limits(schema).expect("a schema");
    let found = schema.check(value).into_iter();
    let mut found: Vec<_> = found.map(|one| (one.pointer, one.description)).collect();
    found.sort();
    found
}

#[test]
fn names_every_place_and_what_would_be_right() {
    let schema = json!({
        "type": "object",
        "required": ["path", "engine"],
        "additionalProperties": false,
        "properties": {
            "path": {"type": "string"},
            "engine": {"enum": ["a", "b"]},
            "replicas": {"type": "integer", "minimum": 1, "maximum": 9},
            "names": {"type": "array", "maxItems": 2, "items": {"pattern": "^[a-z]+$"}},
            "when": {"type": ["string", "null"]},
        },
    });
    let right = json!({"path": "k8s", "engine": "a", "replicas": 2, "when": null});
    assert!(mismatches(&schema, &right).is_empty());
    let wrong = json!({
        "engine": "c", "replicas": 0, "names": ["a", "B", "c"], "when": 7, "other/one": 1,
    });
    let found = mismatches(&schema, &wrong);
    let found: Vec<_> = found
        .iter()
        .map(|(at, what)| (at.as_str(), what.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("/engine", "must be one of \"a\", \"b\""),
            ("/names", "must have at most 2 items"),
            ("/names/1", "must match the pattern ^[a-z]+$"),
            ("/other~1one", "is not known here"),
            ("/path", "is required"),
            ("/replicas", "must be at least 1"),
            ("/when", "must be of type null or string"),
        ]
    );
}

#[test]
fn alternatives_are_named_where_they_are_members() {
    let members = |names: &[&str]| json!({"required": names});
    let schema = json!({"anyOf": [members(&["invoice"]), members(&["payee", "account"])]});
    let rule = "must have invoice, or payee and account".to_owned();
    assert_eq!(mismatches(&schema, &json!({})), [(String::new(), rule)]);
    let schema = json!({"anyOf": [{"type": "integer"}, {"enum": ["all"]}]});
    let rule = "must be of type integer, or must be one of \"all\"".to_owned();
    assert_eq!(mismatches(&schema, &json!({})), [(String::new(), rule)]);
    let schema = json!({"anyOf": [members(&["invoice"]), {"type": "string"}]});
    let rule = "must match at least one of its 2 alternatives".to_owned();
    assert_eq!(mismatches(&schema, &json!({})), [(String::new(), rule)]);
    let said = &faults(&json!({"type": "strnig"}))[0].1;
    assert!(
        said.contains("\"string\"") && said.ends_with("or must be of type array"),
        "{said}"
    );
}

#[test]
fn a_value_is_not_repeated_in_what_is_said_of_it() {
    let secret = "s3cret-value";
    let wrong = json!({
        "type": "object", "maxProperties": 0, "propertyNames": {"maxLength": 1},
        "additionalProperties": {
            "allOf": [
                {"type": "integer"}, {"enum": [1]}, {"const": 2}, {"maxLength": 1},
                {"pattern": "^x$"}, {"not": {"type": "string"}}, {"anyOf": [{"type": "null"}]},
                {"oneOf": [{"type": "null"}]}, false, {"contains": true, "minContains": 2},
            ]
        },
    });
    for (_, description) in mismatches(&wrong, &json!({"member": secret})) {
        assert!(!description.contains(secret), "{description}");
    }
}

#[test]
fn refuses_what_is_no_schema_with_the_place() {
    let wrong =
        json!({"properties": {"a": {"type": "strnig"}, "b": {"minLength": -1}}, "allOf": []});
    let mut found = pointers(&wrong);
    found.sort();
    found.dedup();
    assert_eq!(
        found,
        ["/allOf", "/properties/a/type", "/properties/b/minLength"]
    );
    assert!(Schema::compile(&wrong).is_err());
    // Without backtracking there is no looking ahead.
    let pattern = json!({"properties": {"a": {"pattern": "(?=x)"}}});
    assert_eq!(pointers(&pattern), ["/properties/a/pattern"]);
    assert!(Schema::compile(&pattern).is_err());
    let large = json!({"items": {"patternProperties": {"(\\w{900}){9}": true}}});
    assert_eq!(pointers(&large), ["/items/patternProperties/(\\w{900}){9}"]);
    assert_eq!(
        pointers(&json!({"$schema": "http://json-schema.org/draft-07/schema#"})),
        ["/$schema"]
    );
}

#[test]
fn references_stay_within_the_schema_and_have_an_end() {
    for reference in [
        "https://example.com/schema.json",
        "https://json-schema.org/draft/2020-12/schema",
        "file:///etc/passwd",
        "other.json",
        "#name",
        "#/$defs/nothing",
        "#/$defs/a%62",
        "#/title",
    ] {
        let schema = json!({"title": "x", "properties": {"a": {"$ref": reference}}});
        assert_eq!(pointers(&schema), ["/properties/a/$ref"], "{reference}");
    }
    for schema in [
        json!({"$ref": "#"}),
        json!({"properties": {"a": {"$ref": "#"}}}),
        json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
    ] {
        assert!(!faults(&schema).is_empty(), "{schema}");
    }
    for keyword in [
        "$id",
        "$anchor",
        "$dynamicRef",
        "$dynamicAnchor",
        "$recursiveRef",
    ] {
        let schema = json!({"items": {keyword: "#a"}});
        assert!(
            pointers(&schema).contains(&format!("/items/{keyword}")),
            "{keyword}"
        );
    }
    // Names of members are not keywords.
    let plain = json!({
        "$defs": {"name": {"type": "string"}},
        "properties": {"$id": {"$ref": "#/$defs/name"}, "$ref": {"const": {"$ref": "http://x"}}},
    });
    let found = mismatches(&plain, &json!({"$id": 7}));
    assert_eq!(found[0].0, "/$id");
}

#[test]
fn a_schema_that_doubles_with_every_line_is_refused() {
    let mut definitions = serde_json::Map::new();
    for n in 0..30 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        definitions.insert(format!("d{n}"), json!({"allOf": [next, next]}));
    }
    definitions.insert("d30".to_owned(), json!({"type": "integer"}));
    let schema = json!({"$defs": definitions, "$ref": "#/$defs/d0"});
    assert!(faults(&schema)[0].1.contains("at most 2000 places"));
}

#[test]
fn limits_hold_at_their_edges() {
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"items": inner}));
    assert!(Schema::compile_within_limits(&nested(MOST_DEPTH)).is_ok());
    assert_eq!(pointers(&nested(MOST_DEPTH + 1)), [""]);
    // One for the root.
    let wide = |places: usize| {
        let members = (1..places).map(|n| (format!("p{n}"), json!(true)));
        json!({"properties": members.collect::<serde_json::Map<_, _>>()})
    };
    assert!(Schema::compile_within_limits(&wide(MOST_PLACES)).is_ok());
    assert_eq!(pointers(&wide(MOST_PLACES + 1)), [""]);
    let patterns = |count: usize| {
        let all = (0..count).map(|n| json!({"pattern": format!("^{n}$")}));
        json!({"allOf": all.collect::<Vec<_>>()})
    };
    assert!(Schema::compile_within_limits(&patterns(MOST_PATTERNS)).is_ok());
    assert_eq!(pointers(&patterns(MOST_PATTERNS + 1)), [""]);
    // A chain of references is as deep as what it goes through,
    let chain = |links: usize| {
        let link = |n| {
            (
                format!("d{n}"),
                json!({"$ref": format!("#/$defs/d{}", n + 1)}),
            )
        };
        let mut all: serde_json::Map<_, _> = (0..links).map(link).collect();
        all.insert(format!("d{links}"), json!(true));
        json!({"$defs": all, "$ref": "#/$defs/d0"})
    };
    assert!(Schema::compile_within_limits(&chain(62)).is_ok());
    for links in [64, 1_500] {
        assert!(faults(&chain(links))[0].1.contains("within each other"));
    }
}

#[test]
fn a_large_value_costs_no_more_than_it_may() {
    let every =
        |places: usize| json!({"items": {"allOf": vec![json!({"type": "integer"}); places]}});
    let schema = Schema::compile_within_limits(&every(1_000)).expect("a schema");
    let places = schema.places;
    let values = |count: usize| json!(vec!["x"; count - 1]);
    let at_most = |count: usize| schema.check(&values(count)).len();
    assert_eq!(at_most(EXPLAINED / places), REPORTED);
    let summary = schema.check(&values(EXPLAINED / places + 1));
    assert!(summary.len() == 1 && summary[0].description.contains("faults are named"));
    let refused = schema.check(&values(MOST_STEPS / places + 1));
    assert!(
        refused.len() == 1 && refused[0].description.contains("at most"),
        "{refused:?}"
    );
    assert!(
        schema
            .check(&json!(vec![7; MOST_STEPS / places - 1]))
            .is_empty()
    );
}

#[test]
fn a_pattern_takes_a_step_for_each_character() {
    let heavy = json!({"$defs": {"a": {"pattern": "[012]*1[012]{400}[34]"}}, "$ref": "#/$defs/a"});
    assert_eq!(pointers(&heavy), ["/$defs/a/pattern"]);
    let in_names = json!({"patternProperties": {"a/b": true, "[01]*1[01]{14}": true}});
    assert_eq!(pointers(&in_names), ["/patternProperties/[01]*1[01]{14}"]);
    // Each alone is light.
    let some = |count: usize| {
        let all = (0..count).map(|n| json!({"pattern": format!("^.{{{},190}}$", n + 1)}));
        json!({"allOf": all.collect::<Vec<_>>()})
    };
    assert!(Schema::compile_within_limits(&some(1)).is_ok());
    assert!(faults(&some(4))[0].1.contains("bytes of automata"));
}

#[test]
fn whatever_is_kept_today_is_compiled_tomorrow() {
    // Workflows that refer to themselves were stored before there were limits.
    let tree =
        json!({"properties": {"children": {"items": {"$ref": "#"}}, "n": {"type": "integer"}}});
    let schema = Schema::compile(&tree).expect("a schema");
    assert!(schema.check(&json!({"children": [{"n": 1}]})).is_empty());
    assert_eq!(
        schema.check(&json!({"children": [{"n": "x"}]}))[0].pointer,
        "/children/0/n"
    );
    assert!(Schema::compile(&json!({"$ref": "https://example.com/schema.json"})).is_err());
}
