//! What every server of Reeve does, tried over real connections with a small service: one test for
//! each promise that tonic alone would not keep. The client is plain hyper, so that nothing on the
//! client's side hides what the server sends.

mod access;
mod api;
mod calls;
mod deadlines;
mod discovery;
mod host;
mod limits;
mod peers;
mod silence;
mod stop;
mod streams;
mod wire;
mod work;
