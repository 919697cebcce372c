//! The Lua scripts, compiled in. Each is atomic; each states its keys and arguments on top.

use std::sync::LazyLock;

use redis::Script;

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)+) => {
        $(pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!($(include_str!(concat!("../scripts/", $file))),+))
        });)+
    };
}

scripts! {
    GENERATION_BEGIN = "generation_begin.lua";
    GENERATION_EXTEND = "generation_extend.lua";
    GENERATION_FINISH = "generation_finish.lua";
    GENERATION_VERIFY = "generation_verify.lua";
    LEASE_COUNT = "lease_count.lua";
    LEASE_EXPIRED = "lease_expired.lua";
    LEASE_FORGET = "lease_forget.lua";
    LEASE_GRANT = "lease_grant.lua";
    LEASE_POSTPONE = "lease_postpone.lua";
    LEASE_RENEW = "lease_renew.lua";
    LIMIT_TAKE = "limit_take.lua";
    READY_CHARGE = "turns.lua" "ready_charge.lua";
    READY_GIVE_BACK = "turns.lua" "ready_give_back.lua";
    READY_LINE_UP = "turns.lua" "ready_line_up.lua";
    READY_OVERDUE = "ready_overdue.lua";
    READY_POP = "turns.lua" "ready_pop.lua";
    STREAM_APPEND = "stream_append.lua";
}
