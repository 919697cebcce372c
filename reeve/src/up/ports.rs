//! Which ports the five services take.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// The five services, in the order of their ports.
pub const SERVICES: [&str; 5] = [
    "agent-registry",
    "task-queue",
    "workflow-engine",
    "finance",
    "incident",
];

const FIRST_GRPC: u16 = 7101;
const FIRST_ADMIN: u16 = 9101;
const STEP: u16 = 100;
const TRIES: u16 = 15;
/// With it the last port is still one.
const GREATEST_OFFSET: u16 = 56_000;

/// Two ports of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// gRPC.
    pub grpc: u16,
    /// Health, metrics and version over HTTP.
    pub admin: u16,
}

/// Ports for the five, and what to tell when they are not the usual ones.
pub struct Choice {
    /// By the order of [`SERVICES`].
    pub ports: [Ports; 5],
    /// Says which port was taken and how to choose others.
    pub notice: Option<String>,
}

/// Reads an offset from the command line.
pub fn offset() -> impl clap::builder::TypedValueParser<Value = u16> {
    clap::value_parser!(u16).range(0..=i64::from(GREATEST_OFFSET))
}

/// The usual ports moved by `offset` or, without one, by the first step at which all are free.
pub fn choose(offset: Option<u16>) -> Result<Choice> {
    if let Some(offset) = offset {
        let ports = shifted(offset);
        if let Some(taken) = first_taken(&ports) {
            bail!("port {taken} is in use by another program; choose another --port-offset");
        }
        return Ok(Choice {
            ports,
            notice: None,
        });
    }
    let usual_taken = first_taken(&shifted(0));
    for offset in (0..TRIES).map(|step| step * STEP) {
        let ports = shifted(offset);
        if first_taken(&ports).is_none() {
            let notice = usual_taken.map(|taken| {
                format!(
                    "port {taken} is in use by another program, so every port is moved by {offset}; \
                     choose otherwise with --port-offset N (make up PORT_OFFSET=N)"
                )
            });
            return Ok(Choice { ports, notice });
        }
    }
    bail!("no free ports near {FIRST_GRPC} and {FIRST_ADMIN}; choose with --port-offset N")
}

fn shifted(offset: u16) -> [Ports; 5] {
    let offset = offset.min(GREATEST_OFFSET);
    [0, 1, 2, 3, 4].map(|index| Ports {
        grpc: FIRST_GRPC + offset + index,
        admin: FIRST_ADMIN + offset + index,
    })
}

fn first_taken(ports: &[Ports]) -> Option<u16> {
    let all = ports.iter().flat_map(|pair| [pair.grpc, pair.admin]);
    all.into_iter()
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_away_from_a_taken_port_and_says_so() {
        // Whether or not the usual ports are free here, port 7103 is not.
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 7103));
        let choice = choose(None).expect("some ports are free");
        assert_ne!(choice.ports[2].grpc, 7103);
        assert!(choice.notice.expect("a notice").contains("--port-offset"));
    }

    #[test]
    fn refuses_a_chosen_offset_that_is_taken() {
        let (offset, _held) = (30_000..GREATEST_OFFSET)
            .find_map(|offset| {
                let port = FIRST_GRPC + offset;
                Some((offset, TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?))
            })
            .expect("a free port");
        let refusal = choose(Some(offset))
            .err()
            .expect("the port is taken")
            .to_string();
        let port = FIRST_GRPC + offset;
        assert!(refusal.contains(&port.to_string()), "{refusal}");
    }

    #[test]
    fn an_offset_never_leads_beyond_the_last_port() {
        use clap::builder::TypedValueParser as _;
        let read = |text: &str| {
            offset().parse_ref(
                &clap::Command::new("reeve"),
                None,
                std::ffi::OsStr::new(text),
            )
        };
        assert_eq!(read("56000").expect("in range"), GREATEST_OFFSET);
        assert!(read("56001").is_err() && read("60000").is_err());
        assert_eq!(shifted(GREATEST_OFFSET)[4].admin, 65_105);
    }
}
