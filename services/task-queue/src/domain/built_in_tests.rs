use serde_json::json;

use super::*;

/// Names and categories as the product's list has them.
const SEED: [(Category, &[&str]); 7] = [
    (
        Category::ProjectManagement,
        &[
            "CreateProject",
            "UpdateProject",
            "AnalyzeProject",
            "GenerateProjectPlan",
            "TrackProgress",
            "GenerateReport",
        ],
    ),
    (
        Category::Development,
        &[
            "GenerateCode",
            "ReviewCode",
            "RefactorCode",
            "GenerateTests",
            "AnalyzeComplexity",
            "OptimizePerformance",
        ],
    ),
    (
        Category::Finance,
        &[
            "GenerateInvoice",
            "TrackExpenses",
            "ProcessPayment",
            "GenerateFinancialReport",
            "ManageBudget",
        ],
    ),
    (
        Category::QualityAssurance,
        &[
            "GenerateTestPlan",
            "CreateUnitTests",
            "CreateIntegrationTests",
            "ExecuteTests",
            "PerformanceTest",
            "SecurityTest",
            "CodeReview",
        ],
    ),
    (
        Category::Devops,
        &[
            "BuildApplication",
            "DeployApplication",
            "RunCICDPipeline",
            "AutomateTests",
            "ManageConfiguration",
            "MonitorDeployment",
        ],
    ),
    (
        Category::Security,
        &[
            "AnalyzeVulnerabilities",
            "PerformSecurityAudit",
            "ManageCompliance",
            "RespondToIncident",
            "ImplementSecurityMeasures",
        ],
    ),
    (
        Category::AgentManagement,
        &[
            "OnboardAgent",
            "EvaluatePerformance",
            "ProvideTraining",
            "ManageAgentWellbeing",
            "HandleDisputes",
        ],
    ),
];

/// Lower case with "_" between the words; an abbreviation is one word.
fn on_the_wire(seed: &str) -> String {
    let seed = seed.replace("CICD", "Cicd");
    let mut name = String::new();
    for letter in seed.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[test]
fn the_forty_are_there_each_in_its_category_and_once() {
    let mut expected: Vec<_> = SEED
        .iter()
        .flat_map(|(category, names)| names.iter().map(|name| (on_the_wire(name), *category)))
        .collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(expected.len(), 40);
    let found: Vec<_> = BUILT_IN
        .values()
        .map(|entry| (entry.kind.name.clone(), entry.kind.category))
        .collect();
    assert_eq!(found, expected);
    // A name that stands twice would have replaced another.
    let entries = |text: &&str| {
        serde_json::from_str::<File>(text)
            .expect("a file")
            .types
            .len()
    };
    assert_eq!(FILES.iter().map(entries).sum::<usize>(), 40);
}

#[test]
fn each_has_what_the_contract_promises() {
    for entry in BUILT_IN.values() {
        let kind = &entry.kind;
        let name = &kind.name;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let capability = kind.capability.as_bytes();
        assert!(
            (1..=128).contains(&capability.len()) && plain(capability[0]),
            "{name}"
        );
        assert!(
            capability.iter().all(|b| plain(*b) || b"._/-".contains(b)),
            "{name}"
        );
        assert!((1..=2_048).contains(&kind.description.len()), "{name}");
        let timeout = kind.start_to_close.expect("a timeout").num_seconds();
        assert!((60..=86_400).contains(&timeout), "{name}");
        let schema = kind.schema.as_ref().expect("a schema");
        assert!(schema.to_string().len() <= 32 * 1_024, "{name}");
        if let Err(faults) = reeve_schema::Schema::compile_within_limits(schema) {
            panic!("{name}: {faults:?}");
        }
    }
}

/// What a member of a schema says of itself, itself or by what it refers to.
fn is_described(member: &Json, definitions: &Json) -> bool {
    let referred = member["$ref"]
        .as_str()
        .and_then(|text| text.strip_prefix("#/$defs/"));
    let inherited = referred.is_some_and(|name| definitions[name]["description"].is_string());
    member["description"].is_string() || inherited
}

#[test]
fn each_parameter_is_described_and_typing_errors_are_found() {
    for entry in BUILT_IN.values() {
        let name = &entry.kind.name;
        let schema = entry.kind.schema.as_ref().expect("a schema");
        assert_eq!(schema["additionalProperties"], json!(false), "{name}");
        let members = schema["properties"].as_object().expect("properties");
        for (member, says) in members {
            assert!(is_described(says, &schema["$defs"]), "{name}.{member}");
        }
        for free in ["instructions", "context"] {
            assert!(members.contains_key(free), "{name} takes no {free}");
        }
        for required in schema["required"].as_array().into_iter().flatten() {
            let required = required.as_str().expect("a name");
            assert!(members.contains_key(required), "{name}.{required}");
        }
        let found = entry.check(Some(&json!({"instrcutions": "x"}))).unfit;
        assert!(
            found
                .iter()
                .any(|mismatch| mismatch.pointer == "/instrcutions"),
            "{name}: {found:?}"
        );
    }
}

/// The least and the most that one would say, for a type of each kind.
#[test]
fn what_is_right_is_taken_and_what_is_missing_is_named() {
    let repository = json!({"url": "https://github.com/acme/shop.git", "revision": "main"});
    let id = "0190f3c4-8d6e-7a55-b3a0-4f6d1c2e9b7a";
    let right = [
        ("create_project", json!({"name": "Shop"})),
        ("update_project", json!({"changes": {"state": "on_hold"}})),
        ("track_progress", json!({})),
        (
            "generate_report",
            json!({"kind": "custom", "sections": ["Costs"]}),
        ),
        (
            "generate_code",
            json!({"requirement": "x", "repository": repository, "context": {"a": 1}}),
        ),
        (
            "review_code",
            json!({"repository": repository, "focus": ["security"]}),
        ),
        (
            "optimize_performance",
            json!({"repository": repository, "metric": "latency"}),
        ),
        (
            "process_payment",
            json!({"payee": "Acme", "amount": {"amount": "9.50", "currency_code": "EUR"}}),
        ),
        (
            "manage_budget",
            json!({"action": "review", "budget_id": id}),
        ),
        (
            "execute_tests",
            json!({"repository": repository, "parallelism": 8}),
        ),
        (
            "performance_test",
            json!({"url": "https://shop.example", "thresholds": {"p99_ms": 250}}),
        ),
        ("security_test", json!({"image": "acme/shop:1.2"})),
        (
            "code_review",
            json!({"repository": repository, "pull_request": "17"}),
        ),
        (
            "deploy_application",
            json!({
                "application": "shop", "version": "1.2", "environment": "staging", "strategy": "canary",
                "canary_percents": [5, 50], "values": {"replicas": 3},
            }),
        ),
        (
            "run_cicd_pipeline",
            json!({"pipeline": "release.yaml", "inputs": {"tag": "v1"}}),
        ),
        (
            "automate_tests",
            json!({
                "repository": repository, "triggers": ["push", "schedule"], "schedule": "0 3 * * 1-5",
            }),
        ),
        (
            "manage_configuration",
            json!({"action": "get", "application": "shop"}),
        ),
        (
            "analyze_vulnerabilities",
            json!({"image": "acme/shop:1.2", "ignore": ["CVE-2026-12345"]}),
        ),
        (
            "respond_to_incident",
            json!({"summary": "x", "steps": ["contain"]}),
        ),
        (
            "onboard_agent",
            json!({"name": "a", "capabilities": ["deployment"]}),
        ),
        (
            "handle_disputes",
            json!({"agent_ids": [id], "subject": "x"}),
        ),
    ];
    for (name, parameters) in right {
        assert_eq!(BUILT_IN[name].check(Some(&parameters)).unfit, [], "{name}");
    }
    let wrong = [
        (
            "generate_report",
            json!({"kind": "custom"}),
            vec!["/sections"],
        ),
        (
            "deploy_application",
            json!({"version": "1"}),
            vec!["/application", "/environment"],
        ),
        (
            "manage_budget",
            json!({"action": "adjust"}),
            vec!["/budget_id", "/limit"],
        ),
        (
            "automate_tests",
            json!({"repository": repository, "triggers": ["schedule"]}),
            vec!["/schedule"],
        ),
        (
            "process_payment",
            json!({"amount": {"amount": "1e3", "currency_code": "eur"}}),
            vec!["", "/amount/amount", "/amount/currency_code"],
        ),
        (
            "security_test",
            json!({"url": "https://x.example"}),
            vec![""],
        ),
        (
            "manage_compliance",
            json!({"framework": "other", "action": "assess"}),
            vec!["/framework_name"],
        ),
    ];
    for (name, parameters, expected) in wrong {
        let mut found: Vec<_> = BUILT_IN[name]
            .check(Some(&parameters))
            .unfit
            .into_iter()
            .map(|mismatch| mismatch.pointer)
            .collect();
        found.sort();
        assert_eq!(found, expected, "{name}");
    }
    let missing = BUILT_IN["generate_code"].check(None).unfit;
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].pointer, "/requirement");
}
