//! finance as its callers see it: the real server, PostgreSQL and Redis, and the task queue's
//! events from a real log.

#![allow(missing_docs)]

mod budgets;
mod guards;
mod invoice_work;
mod invoices;
mod ledger;
mod payments;
mod prices;
mod task_costs;
mod tenants;
mod world;
