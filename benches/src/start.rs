//! How long the platform takes to be ready, and what its idle services weigh.

use crate::platform::Platform;
use crate::report::{Figure, Report};

/// Reads both off the platform that has just started.
pub fn measure(platform: &Platform, report: &mut Report) {
    report.add(Figure {
        name: "platform_ready",
        value: platform.ready_after.as_secs_f64(),
        unit: "s",
        p50: None,
        p99: None,
        durability: "not applicable",
        cpu_us_each: None,
        target: "with initdb, migrations and five services",
    });
    let services = platform.services().unwrap_or_default();
    let heaviest = services
        .values()
        .filter_map(|pid| Platform::memory_mib(*pid))
        .fold(0.0, f64::max);
    report.add(Figure {
        name: "service_memory",
        value: heaviest,
        unit: "MiB",
        p50: None,
        p99: None,
        durability: "not applicable",
        cpu_us_each: None,
        target: "< 50 MiB for the heaviest idle service",
    });
}
