//! Parameters that do not match the schema of their type.

use reeve_status::{Violation, Violations};

use crate::domain::{Catalogue, Spec};
use crate::operations::Creation;

/// What checking the parameters of one batch may cost, give or take those of one task.
pub const STEPS: usize = 10_000_000;

/// What a request says by itself.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// Whether it names a capability.
    pub capability: bool,
    /// Whether it has parameters.
    pub parameters: bool,
}

/// Gives a spec what its type has by default, and says where its parameters do not match.
pub fn complete(
    types: &Catalogue,
    spec: &mut Spec,
    given: &Given,
    place: &str,
    steps: &mut usize,
) -> Vec<Violation> {
    if let Some(known) = types.resembling(&spec.kind) {
        return vec![Violation {
            field: format!("{place}type"),
            description: format!("differs from {known} only by upper and lower case"),
        }];
    }
    let checked = types.complete(spec, given.capability);
    // Only now the capability is known.
    spec.demand = spec.placement.demand(&spec.capability);
    *steps += checked.steps;
    // What could not even be read is named already.
    if given.parameters && spec.parameters.is_none() {
        return Vec::new();
    }
    let unfit = checked.unfit.into_iter().map(|mismatch| {
        let path = reeve_schema::dotted(&mismatch.pointer);
        Violation {
            field: format!("{place}parameters{path}"),
            description: mismatch.description,
        }
    });
    unfit.collect()
}

/// Names what does not match the schema of its type, too, where something else is wrong anyway.
pub fn add<'a>(v: &mut Violations, creations: impl Iterator<Item = &'a Creation>) {
    if v.is_empty() {
        return;
    }
    for unfit in creations.flat_map(|creation| &creation.unfit) {
        v.add(&unfit.field, unfit.description.clone());
    }
}
