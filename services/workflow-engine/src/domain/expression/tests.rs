use serde_json::json;

use super::*;

/// Evaluates with an input and one finished step.
fn evaluate_with(source: &str, input: &Value) -> Result<Value, String> {
    let lint = json!({"n": 2});
    let status = json!("COMPLETED");
    let step = Members::from([
        ("status", Cow::Borrowed(&status)),
        ("output", Cow::Borrowed(&lint)),
    ]);
    let variables = Variables {
        values: Members::from([("input", Cow::Borrowed(input))]),
        steps: BTreeMap::from([("lint", step)]),
    };
    Expression::compile(source)?.evaluate(&variables, &Supply::new().budget())
}

fn evaluate(source: &str) -> Result<Value, String> {
    let input = json!({
        "replicas": 3, "ratio": 0.5, "names": ["b", "a"], "text": "naïve text", "none": null,
    });
    evaluate_with(source, &input)
}

#[test]
fn json_numbers_take_part_in_arithmetic() {
    assert_eq!(evaluate("input.replicas + 1"), Ok(json!(4)));
    assert_eq!(evaluate("input.ratio * 2.0"), Ok(json!(1.0)));
    assert_eq!(
        evaluate("steps.lint.output.n > 1 && steps.lint.status == 'COMPLETED'"),
        Ok(json!(true))
    );
    assert_eq!(
        evaluate("input.names.map(n, n.upperAscii()).join('-')"),
        Ok(json!("B-A"))
    );
    assert_eq!(
        evaluate("{'a': [1, null, true]}"),
        Ok(json!({"a": [1, null, true]}))
    );
}

#[test]
fn operators_mean_what_cel_says() {
    for (source, expected) in [
        ("7 / 2", json!(3)),
        ("-7 % 3", json!(-1)),
        ("7.0 / 2.0", json!(3.5)),
        ("1 == 1.0 && 1u == 1 && 1 < 1.5", json!(true)),
        ("1 == '1'", json!(false)),
        ("[1] + [2, 3]", json!([1, 2, 3])),
        ("[1, 2][1]", json!(2)),
        ("{'a': 1}['a']", json!(1)),
        ("2 in [1, 2] && 'a' in {'a': 1}", json!(true)),
        ("{'a': [1]} == {'a': [1.0]}", json!(true)),
        ("!(1 > 2) ? 'yes' : 'no'", json!("yes")),
        ("-input.replicas", json!(-3)),
        ("input.none == null", json!(true)),
        ("'a' < 'b'", json!(true)),
        ("type(1) == int && type('') == string", json!(true)),
        ("int('42') + int(1.9)", json!(43)),
        ("string(1) + string(true) + string(0.5)", json!("1true0.5")),
        ("double(1) + 0.5", json!(1.5)),
        ("bool('true')", json!(true)),
    ] {
        assert_eq!(evaluate(source), Ok(expected), "{source}");
    }
    for source in [
        "1 / 0",
        "9223372036854775807 + 1",
        "1 + 1.0",
        "1 + 'a'",
        "[1][1]",
        "[1][-1]",
        "1u - 2u",
        "0.0 / 0.0",
        "1 ? 2 : 3",
        "int('x')",
        "{'a': 1, 'a': 2}",
        "b'bytes'",
        "input",
    ] {
        let value = evaluate(source);
        assert!(value.is_err() || source == "input", "{source}: {value:?}");
    }
}

#[test]
fn functions_of_text_count_characters() {
    for (source, expected) in [
        ("size(input.text)", json!(10)),
        ("input.text.charAt(2)", json!("ï")),
        ("input.text.substring(2, 5)", json!("ïve")),
        ("input.text.substring(6)", json!("text")),
        ("input.text.indexOf('t')", json!(6)),
        ("input.text.indexOf('t', 7)", json!(9)),
        ("input.text.lastIndexOf('t')", json!(9)),
        ("input.text.indexOf('z')", json!(-1)),
        ("'a,b,c'.split(',')", json!(["a", "b", "c"])),
        ("'a,b,c'.split(',', 2)", json!(["a", "b,c"])),
        ("'abc'.split('')", json!(["a", "b", "c"])),
        ("'abc'.split('', 2)", json!(["a", "bc"])),
        ("'aaa'.replace('a', 'bb')", json!("bbbbbb")),
        ("'aaa'.replace('a', 'b', 1)", json!("baa")),
        ("'ab'.replace('', '-')", json!("-a-b-")),
        (" ' x '.trim() + 'ab'.reverse()", json!("xba")),
        ("'AbC'.lowerAscii()", json!("abc")),
        ("'abc'.startsWith('a') && 'abc'.endsWith('c')", json!(true)),
        ("'abc'.contains('b')", json!(true)),
        ("['a', 'b'].join()", json!("ab")),
    ] {
        assert_eq!(evaluate(source), Ok(expected), "{source}");
    }
    assert!(evaluate("'abc'.substring(2, 1)").is_err());
    assert!(evaluate("'abc'.charAt(4)").is_err());
    assert_eq!(evaluate("'abc'.charAt(3)"), Ok(json!("")));
}

#[test]
fn comprehensions_walk_lists_and_keys() {
    for (source, expected) in [
        ("[1, 2, 3].filter(n, n > 1)", json!([2, 3])),
        ("[1, 2, 3].map(n, n > 1, n * 2)", json!([4, 6])),
        (
            "[1, 2].all(n, n > 0) && [1, 2].exists(n, n == 2)",
            json!(true),
        ),
        ("[1, 2, 2].exists_one(n, n == 2)", json!(false)),
        ("{'a': 1, 'b': 2}.map(k, k)", json!(["a", "b"])),
        ("[[1], [2]].map(l, l.map(n, n + 1))", json!([[2], [3]])),
    ] {
        assert_eq!(evaluate(source), Ok(expected), "{source}");
    }
}

#[test]
fn a_side_that_decides_excuses_an_error() {
    for (source, expected) in [
        ("input.absent == 1 || true", json!(true)),
        ("true || input.absent == 1", json!(true)),
        ("input.absent == 1 && false", json!(false)),
        ("[0, 1].exists(n, 1 / n == 1)", json!(true)),
        ("[0, 2].all(n, 1 / n == 1)", json!(false)),
    ] {
        assert_eq!(evaluate(source), Ok(expected), "{source}");
    }
    assert!(evaluate("input.absent == 1 && true").is_err());
    assert!(evaluate("[0, 1].all(n, 1 / n == 1)").is_err());
}

#[test]
fn a_missing_key_is_an_error_and_has_asks_for_it() {
    assert!(evaluate("input.absent == 1").is_err());
    assert_eq!(evaluate("has(input.absent)"), Ok(json!(false)));
    assert_eq!(evaluate("has(steps.lint.output.n)"), Ok(json!(true)));
}

#[test]
fn knows_what_is_read() {
    let source = "steps.a.output.x == input.y && input.z.exists(v, v == steps.b.status)";
    let read = Expression::compile(source)
        .expect("an expression")
        .references()
        .clone();
    assert_eq!(read.steps, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    assert_eq!(
        read.variables,
        BTreeSet::from(["input".to_owned(), "steps".to_owned()])
    );
}

#[test]
fn refuses_what_is_wrong_at_once() {
    for (source, expected) in [
        ("", "empty"),
        ("input.", "not CEL"),
        ("steps['lint'].output", "followed by the id"),
        ("steps.all(s, true)", "followed by the id"),
        ("rm('x')", "calls `rm`"),
        (
            "input.names.map(a, input.names.map(b, input.names.map(c, 1)))",
            "deeper than 2",
        ),
    ] {
        let fault = Expression::compile(source).expect_err(source);
        assert!(fault.contains(expected), "{source:?}: {fault}");
    }
    let long = format!("'{}'", "x".repeat(SOURCE_LIMIT));
    assert!(
        Expression::compile(&long)
            .expect_err("long")
            .contains("at most 4096")
    );
}

#[test]
fn hostile_sources_are_errors_not_panics() {
    for source in [
        "((((",
        "\u{0}",
        "a ? b",
        &"(".repeat(4_000),
        &"!".repeat(4_000),
        "[1,,]",
    ] {
        assert!(Expression::compile(source).is_err(), "{source:?} compiled");
    }
}

#[test]
fn deep_sources_are_evaluated_or_refused_and_never_fatal() {
    let wrapped =
        |open: &str, times: usize, close: &str| open.repeat(times) + "1" + &close.repeat(times);
    assert_eq!(evaluate(&wrapped("(", 60, ")")), Ok(json!(1)));
    assert_eq!(evaluate(&("1 + ".repeat(80) + "1")), Ok(json!(81)));
    assert_eq!(evaluate(&wrapped("dyn(", 90, ")")), Ok(json!(1)));
    for (source, unit) in [
        (wrapped("(", 2_000, ")"), "brackets"),
        (wrapped("[", 2_000, "]"), "lists"),
        (wrapped("{1:", 1_000, "}"), "maps"),
        (wrapped("size(", 680, ")"), "calls"),
        (wrapped("[1].map(a,", 370, ")"), "macros"),
        ("1+".repeat(2_000) + "1", "sums"),
        ("1==".repeat(1_300) + "1", "comparisons"),
        ("input".to_owned() + &"[0]".repeat(1_300), "indexes"),
        ("input".to_owned() + &".a".repeat(2_000), "members"),
        ("true ? 1 : ".repeat(370) + "2", "conditionals"),
    ] {
        assert!(
            Expression::compile(&source).is_err(),
            "so many {unit} were accepted"
        );
    }
}

/// Each of these would take gigabytes or hours without a budget.
#[test]
fn what_costs_too_much_is_an_error() {
    let many = |letter: &str| letter.repeat(900);
    let grown = format!(
        "'{}'.replace('a','{}').replace('b','{}').replace('c','{}') == ''",
        many("a"),
        many("b"),
        many("c"),
        many("d")
    );
    let doubled = "'x'".to_owned() + &".split('').map(s, s + s).join()".repeat(30);
    let input = json!({
        "s": "x".repeat(262_144),
        "short": "x".repeat(50_000),
        "l": vec![0; 100_000],
        "o": {"x".repeat(200_000): 1},
    });
    for source in [
        grown.as_str(),
        "input.s.replace('x', input.s)",
        "input.l.map(i, input.short + 'x')",
        "input.l.map(i, input.short)",
        "input.s.split('').all(a, input.s.split('').all(b, true))",
        "input.l.all(a, input.l.all(b, true))",
        "input.l.all(a, !input.s.contains('yy'))",
        "input.l.all(a, input.s == input.s + '')",
        "input.l.all(a, [input] == [input])",
        "input.l.all(a, {input.s: 1}.all(k, k != ''))",
        "input.l.exists(a, input.l.exists(b, b == 1) || a == 1)",
        "input.l.map(a, input.l.map(b, [input, input, input]))",
    ] {
        let stopped = evaluate_with(source, &input).expect_err(source);
        assert!(
            stopped.contains("costs too much"),
            "{source:.60}: {stopped}"
        );
    }
    let _ = evaluate(&doubled);
}

#[test]
fn a_long_list_may_be_walked() {
    let list: Vec<_> = (0..100_000).collect();
    let input = json!({ "l": list });
    assert_eq!(
        evaluate_with("input.l.all(a, a >= 0)", &input),
        Ok(json!(true))
    );
}

#[test]
fn what_cannot_be_stored_has_no_value() {
    let nested = |levels: usize| "[".repeat(levels) + "1" + &"]".repeat(levels);
    assert!(evaluate(&nested(DEPTH_LIMIT)).is_ok());
    let deep = evaluate(&nested(DEPTH_LIMIT + 1)).expect_err("deep");
    assert!(deep.contains("nested deeper"), "{deep}");
    for source in ["'\\u0000'", "['a\\u0000']", "{'\\u0000': 1}"] {
        assert!(
            evaluate(source).expect_err(source).contains("NUL"),
            "{source}"
        );
    }
    assert_eq!(unfit(&json!({"a": ["b", 1]})), None);
    assert!(unfit(&json!({"a\u{0}": 1})).is_some() && unfit(&json!(["\u{0}"])).is_some());
    let mut value = json!(1);
    for _ in 0..=DEPTH_LIMIT {
        value = json!([value]);
    }
    assert!(unfit(&value).is_some_and(|why| why.contains(&DEPTH_LIMIT.to_string())));
}

#[test]
fn a_condition_is_a_truth_value() {
    let number = Expression::compile("1 + 1").unwrap();
    assert!(
        number
            .holds(&Variables::default(), &Supply::new().budget())
            .expect_err("held")
            .contains("a number")
    );
}
