//! How long the platform and a single service take to be ready, and what an idle service weighs.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::report::{Figure, Report};
use reeve_bench::{Platform, environment};

/// Reads both off the platform that has just started.
pub fn platform(platform: &Platform, report: &mut Report) -> Result<()> {
    report.add(Figure::new(
        "platform_ready",
        platform.ready_after.as_secs_f64(),
        "s",
        "with initdb, migrations and five services",
    ));
    let services = platform.services()?;
    let weights = services
        .values()
        .filter_map(|pid| Platform::memory_mib(*pid));
    report.add(Figure::new(
        "service_memory",
        weights.fold(0.0, f64::max),
        "MiB",
        "< 50 MiB for the heaviest idle service",
    ));
    Ok(())
}

/// Starts a second replica of each service, one after the other, and reports the slowest.
pub async fn service(reeve: &Path, platform: &Platform, report: &mut Report) -> Result<()> {
    let mut slowest = Duration::ZERO;
    for (name, pid) in platform.services()? {
        slowest = slowest.max(ready_after(reeve, &name, pid).await?);
    }
    report.add(Figure::new(
        "service_ready",
        slowest.as_secs_f64(),
        "s",
        "< 1 s for the slowest service",
    ));
    Ok(())
}

async fn ready_after(reeve: &Path, name: &str, like: u32) -> Result<Duration> {
    let admin = free_address()?;
    let began = Instant::now();
    let mut child = Command::new(reeve)
        .args(["serve", name])
        .envs(environment(like)?)
        .env("REEVE_GRPC__LISTEN", free_address()?)
        .env("REEVE_ADMIN__LISTEN", &admin)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    while !is_ready(&admin).await.unwrap_or(false) {
        if began.elapsed() > Duration::from_secs(60) || child.try_wait()?.is_some() {
            bail!("a second {name} did not become ready");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let elapsed = began.elapsed();
    child.kill().await?;
    Ok(elapsed)
}

/// An address that was free a moment ago.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

async fn is_ready(admin: &str) -> Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}
