//! Ports on 127.0.0.1.

use std::net::{Ipv4Addr, TcpListener};

use crate::Error;

/// A port that was free a moment ago. Whoever uses it must cope with losing it.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Fails when somebody listens on `port`.
pub fn require_free(port: u16, what: &'static str) -> Result<(), Error> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::PortTaken { port, what }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named() {
        let owner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = owner.local_addr().unwrap().port();
        let error = require_free(port, "Redis").unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("port {port} for Redis is taken")),
            "{error}"
        );
        // A port that was free a moment ago may be somebody's by now; a hundred are not.
        let free = || require_free(free_port().unwrap(), "Redis").is_ok();
        assert!((0..100).any(|_| free()));
    }
}
