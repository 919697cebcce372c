//! The post-mortem document.

use reeve_contracts::incident::v1 as proto;
use reeve_ids::TaskId;
use serde_json::json;

use crate::harness::{World, report};
use crate::peer::TRACE_ID;

impl World {
    async fn postmortem(&self, id: &str) -> proto::Postmortem {
        let request = self.ask(proto::GetPostmortemRequest {
            incident_id: id.to_owned(),
        });
        let answer = self
            .incidents()
            .get_postmortem(request)
            .await
            .expect("it is made");
        answer.into_inner().postmortem.expect("the answer holds it")
    }
}

#[tokio::test]
async fn it_tells_of_the_failing_task_from_detection_to_end() {
    let world = World::start().await;
    let task = TaskId::new().to_string();
    for (amount, currency_code) in [("0.10", "EUR"), ("0.25", "EUR")] {
        let cost = json!({"amount": amount, "currency_code": currency_code});
        let data = json!({"task_id": task, "cost": cost});
        world
            .task_queue
            .emit(world.tenant, "usage.recorded", ("usage", "u"), data);
    }
    world.fail_task(&task, "lint", "status 1");
    let opened = world.opened(1).await;
    let draft = world.postmortem(&opened.id).await;
    assert!(
        !draft.r#final && draft.markdown.contains("**Draft.**"),
        "{}",
        draft.markdown
    );
    world.acknowledge(&opened.id).await.expect("it is detected");
    world.resolve(&opened.id).await.expect("it is open");
    world.verify(&opened.id).await.expect("it is resolved");
    let document = world.postmortem(&opened.id).await;
    assert!(document.r#final);
    assert_eq!(document.task_costs[0].amount, "0.35");
    let text = &document.markdown;
    for part in [
        "# Post-mortem: Task lint failed for good",
        "| Severity, priority | HIGH, P2 |",
        "## Impact",
        "## Detection",
        "Detected from `task.failed` of task-queue",
        "## Response",
        "## Root cause\n\n    The limit was too low",
        "- no alert on memory",
        "**FIX**, permanent: Gave it more memory",
        "- ran it again",
        "Time to acknowledge (MTTA)",
        "| Cost of the failing tasks | 0.35 EUR |",
        "| RESOLVED |",
        "The timeline is intact",
        &format!("- Task: `{task}`"),
        &format!("- Trace: `{TRACE_ID}`"),
        "    status 1",
        &format!("| 3 | `{task}` |"),
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert!(!text.contains("**Draft.**") && !text.contains("{{") && !text.contains("none)"));
}

#[tokio::test]
async fn what_others_wrote_cannot_pose_as_the_document() {
    let world = World::start().await;
    let hostile = "x\n## Root cause\n<script>alert(1)</script> | a | `b`\r\r## Root cause\r\
                   <script>alert(2)</script>\u{1b}[2J";
    let request = proto::CreateIncidentRequest {
        title: "a | b <script>".to_owned(),
        description: hostile.to_owned(),
        ..report()
    };
    let made = world
        .incidents()
        .create_incident(world.ask(request))
        .await
        .expect("it is created");
    let id = made.into_inner().incident.expect("the answer holds it").id;
    let update = proto::AddStatusUpdateRequest {
        incident_id: id.clone(),
        message: hostile.to_owned(),
        ..Default::default()
    };
    world
        .incidents()
        .add_status_update(world.ask(update))
        .await
        .expect("it is open");
    let text = world.postmortem(&id).await.markdown;
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(control), "{text:?}");
    let headings: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("## Root cause"))
        .collect();
    assert_eq!(headings.len(), 1, "{text}");
    let live = text
        .lines()
        .filter(|line| !line.starts_with("    ") && line.contains("<script"));
    assert_eq!(live.count(), 0, "{text}");
    assert!(text.contains("Reported by hand."));

    // The same in the description of an incident that a rule opens.
    world.fail_task("t-1", "lint", hostile);
    let opened = world.opened(2).await;
    let quoted = opened.description.split_once("The error:\n\n");
    let (_, error) = quoted.expect("it tells the error");
    assert!(!opened.description.contains(control), "{error:?}");
    assert!(
        error.lines().all(|line| line.starts_with("    ")),
        "{error}"
    );
}
