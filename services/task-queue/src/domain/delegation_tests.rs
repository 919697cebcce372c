use proptest::prelude::*;

use super::*;

fn link(from: AgentId, to: AgentId, outcome: DelegationOutcome) -> Delegation {
    let now = DateTime::UNIX_EPOCH;
    Delegation {
        id: DelegationId::new(),
        tenant_id: TenantId::new(),
        task_id: TaskId::new(),
        position: 1,
        attempt: 1,
        from,
        to,
        kind: DelegationType::Manual,
        reason: String::new(),
        metadata: None,
        actor: Actor {
            kind: 1,
            subject: "user:1".to_owned(),
            display_name: String::new(),
        },
        time: now,
        offer_until: now,
        outcome,
        outcome_time: None,
    }
}

fn candidates(free: &[i32]) -> Vec<Candidate> {
    let one = |free: &i32| Candidate {
        id: AgentId::new(),
        free: *free,
    };
    free.iter().map(one).collect()
}

fn held_by(holder: AgentId) -> Hands<'static> {
    Hands {
        holder,
        rejected_by: &[],
        failed_at: &[],
        chain: &[],
    }
}

#[test]
fn numbers_are_one_to_one() {
    for kind in DelegationType::ALL {
        assert_eq!(DelegationType::from_number(kind.number()), Some(kind));
    }
    for outcome in DelegationOutcome::ALL {
        assert_eq!(
            DelegationOutcome::from_number(outcome.number()),
            Some(outcome)
        );
    }
    assert_eq!(DelegationType::from_number(0), None);
    assert_eq!(DelegationOutcome::from_number(6), None);
}

#[test]
fn each_agent_is_refused_for_its_own_reason() {
    let [holder, rejecter, earlier, in_vain, free] = std::array::from_fn(|_| AgentId::new());
    let chain = [
        link(earlier, holder, DelegationOutcome::Taken),
        link(in_vain, free, DelegationOutcome::Expired),
        link(in_vain, rejecter, DelegationOutcome::Rejected),
    ];
    let hands = Hands {
        holder,
        rejected_by: &[rejecter],
        failed_at: &[],
        chain: &chain,
    };
    assert_eq!(hands.check(holder), Err(Refusal::IsHolder));
    assert_eq!(hands.check(rejecter), Err(Refusal::HasRejected));
    assert_eq!(hands.check(earlier), Err(Refusal::Cycle));
    assert_eq!(hands.check(in_vain), Ok(()), "it never went from there");
    assert_eq!(hands.check(free), Ok(()));
}

#[test]
fn a_chain_has_eight_links() {
    let links = |count: usize| -> Vec<_> {
        let one = |_| link(AgentId::new(), AgentId::new(), DelegationOutcome::Expired);
        (0..count).map(one).collect()
    };
    for (count, expected) in [(0, Ok(())), (7, Ok(())), (8, Err(Refusal::TooDeep))] {
        let chain = links(count);
        let hands = Hands {
            chain: &chain,
            ..held_by(AgentId::new())
        };
        assert_eq!(hands.check_depth(), expected, "{count}");
    }
}

#[test]
fn of_two_the_less_loaded_takes_it() {
    let hands = held_by(AgentId::new());
    let two = candidates(&[1, 5]);
    for seeds in [[0.0, 0.0], [0.9, 0.0], [0.0, 0.9], [0.9, 0.9]] {
        for kind in [DelegationType::LoadBalance, DelegationType::Failover] {
            assert_eq!(hands.choose(kind, &two, seeds), Ok(two[1].id));
        }
    }
}

#[test]
fn by_chance_means_whoever_has_a_free_slot_first() {
    let hands = held_by(AgentId::new());
    let some = candidates(&[0, 3, -2, 1]);
    let chosen = |seed| hands.choose(DelegationType::Automatic, &some, [seed, 0.0]);
    assert_eq!(chosen(0.0), Ok(some[1].id));
    assert_eq!(chosen(0.99), Ok(some[3].id));
    let busy = candidates(&[0, -1]);
    let chosen = hands.choose(DelegationType::Automatic, &busy, [0.99, 0.0]);
    assert_eq!(chosen, Ok(busy[1].id), "a busy one is better than none");
}

#[test]
fn only_a_failover_goes_back_and_only_when_nobody_else_is_there() {
    let (holder, earlier) = (AgentId::new(), AgentId::new());
    let chain = [link(earlier, holder, DelegationOutcome::Taken)];
    let hands = Hands {
        holder,
        rejected_by: &[],
        failed_at: &[],
        chain: &chain,
    };
    let back = Candidate {
        id: earlier,
        free: 9,
    };
    let other = candidates(&[0])[0];
    for kind in [DelegationType::Automatic, DelegationType::LoadBalance] {
        let chosen = hands.choose(kind, &[back], [0.5, 0.5]);
        assert_eq!(chosen, Err(Refusal::NoCandidate), "{kind:?}");
    }
    let failover = |of: &[Candidate]| hands.choose(DelegationType::Failover, of, [0.0, 0.0]);
    assert_eq!(failover(&[back]), Ok(earlier));
    assert_eq!(failover(&[back, other]), Ok(other.id));
    assert_eq!(failover(&[]), Err(Refusal::NoCandidate));
}

proptest! {
    /// Whoever is chosen may have the task, and somebody is chosen whenever somebody may.
    #[test]
    fn the_choice_is_always_one_that_may_have_it(
        free in proptest::collection::vec(-3..5_i32, 0..8),
        rejected in 0_usize..8,
        holder in 0_usize..8,
        kind in 0_usize..4,
        seeds in [0.0..1.0_f64, 0.0..1.0_f64],
    ) {
        let all = candidates(&free);
        let id = |at: usize| all.get(at).map_or_else(AgentId::new, |one| one.id);
        let rejected_by = [id(rejected)];
        let hands = Hands { holder: id(holder), rejected_by: &rejected_by, failed_at: &[], chain: &[] };
        let kind = DelegationType::ALL[kind];
        let may: Vec<_> = all.iter().filter(|one| hands.check(one.id).is_ok()).collect();
        match hands.choose(kind, &all, seeds) {
            Ok(chosen) => prop_assert!(may.iter().any(|one| one.id == chosen)),
            Err(refusal) => {
                prop_assert_eq!(refusal, Refusal::NoCandidate);
                prop_assert!(may.is_empty());
            }
        }
    }
}

#[test]
fn where_it_failed_it_goes_only_when_nobody_else_is_there() {
    let (holder, failed, fresh) = (AgentId::new(), AgentId::new(), AgentId::new());
    let failed_at = [failed];
    let hands = Hands {
        failed_at: &failed_at,
        ..held_by(holder)
    };
    let one = |id, free| Candidate { id, free };
    for kind in DelegationType::ALL {
        for seed in [0.0, 0.5, 0.99] {
            let both = [one(failed, 9), one(fresh, -1)];
            assert_eq!(hands.choose(kind, &both, [seed, seed]), Ok(fresh));
            let alone = [one(failed, 9)];
            assert_eq!(hands.choose(kind, &alone, [seed, seed]), Ok(failed));
        }
    }
    assert_eq!(hands.check(failed), Ok(()), "whoever names it has decided");
}
