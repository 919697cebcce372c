//! One JSON object a line: ts, level, target, msg, service, then what the spans around the event and
//! the event itself say, the inner over the outer.

use std::fmt;
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::FormatTime as _;
use tracing_subscriber::fmt::{FmtContext, FormattedFields, time};
use tracing_subscriber::registry::LookupSpan;

/// Formats events of a process that is named after its service; a span may name another.
pub(super) struct Lines {
    pub(super) service: &'static str,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let metadata = event.metadata();
        line.insert("ts".into(), now().into());
        line.insert(
            "level".into(),
            metadata.level().as_str().to_ascii_lowercase().into(),
        );
        line.insert("target".into(), metadata.target().into());
        line.insert("msg".into(), Value::Null);
        line.insert("service".into(), self.service.into());
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>();
            let fields = fields.and_then(|text| serde_json::from_str::<Map<_, _>>(text).ok());
            line.extend(
                fields
                    .into_iter()
                    .flatten()
                    .filter(|(key, _)| !key.starts_with("otel.")),
            );
        }
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn now() -> String {
    let mut text = String::new();
    let timer = time::SystemTime;
    if timer.format_time(&mut Writer::new(&mut text)).is_err() {
        text = format!("{:?}", SystemTime::now());
    }
    text
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" {
            "msg"
        } else {
            field.name()
        };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt;
    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_flat_object_with_what_its_spans_say() {
        let page = Page::default();
        let writer = page.clone();
        let layer = fmt::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Lines { service: "finance" });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!(
                "rpc",
                otel.kind = "server",
                rpc.method = "a/B",
                tenant = tracing::field::Empty
            );
            span.record("tenant", "t1");
            span.in_scope(|| tracing::warn!(tries = 3, "said \"no\""));
        });
        let page = page.0.lock().unwrap().clone();
        let line: Map<String, Value> = serde_json::from_slice(&page).expect("one JSON object");
        let expected = [
            ("level", Value::from("warn")),
            ("msg", "said \"no\"".into()),
            ("service", "finance".into()),
            ("rpc.method", "a/B".into()),
            ("tenant", "t1".into()),
            ("tries", 3.into()),
        ];
        for (key, value) in expected {
            assert_eq!(line.get(key), Some(&value), "{key} in {line:?}");
        }
        assert!(
            line["ts"].as_str().is_some_and(|ts| ts.ends_with('Z')),
            "{line:?}"
        );
        assert!(!line.contains_key("otel.kind"), "{line:?}");
    }
}
