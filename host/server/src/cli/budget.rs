//! Budgets: how many deletes a tenant and its callers may have, and how many they have had.

use std::str::FromStr;

use atropos::config::Budget;
use atropos::domain::budget::{self, Limit, Spent};
use atropos::target::{Scope, Subdomain, Window, now_ms};
use atropos_service::service::DataDirectory;
use clap::Subcommand;
use serde::Serialize;

use super::output::{Answer, Columns};
use super::{Failure, tenant};

const COLUMNS: Columns = &[
    ("SCOPE", "/scope"),
    ("WINDOW", "/window"),
    ("CALLER", "/caller"),
    ("LIMIT", "/limit"),
    ("SET BY", "/setBy"),
    ("DELETES", "/deletes"),
    ("UNTIL", "/untilMs"),
];

/// As many as the configuration says.
const DEFAULT: &str = "default";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show what is limited for a tenant, and how much of it is spent
    #[command(after_help = "\
What is limited by the configuration shows only with the server's own --config. A window without a
limit is not counted.

Example:
  atropos budget show --tenant acme --config atropos.toml")]
    Show {
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
    },
    /// Limit the deletes of a tenant, or of each of its callers, from the next delete on
    #[command(after_help = "\
Windows lie at multiples of their length in UTC; a week begins on Monday. What is not named stays as
it is.

Examples:
  atropos budget set tenant day=5000 week=20000 --tenant acme
  atropos budget set caller second=10 --tenant acme       each site key and API client
  atropos budget set tenant day=0 --tenant acme           unlimited, whatever the configuration says
  atropos budget set tenant day=default --tenant acme     what the configuration says")]
    Set {
        /// Whose deletes: those of all callers together, or those of each
        #[arg(value_parser = super::values::scope())]
        scope: Scope,
        /// WINDOW=N, where WINDOW is second, minute, hour, day or week, and N is a number, 0 for
        /// unlimited, or `default`
        #[arg(required = true, value_name = "WINDOW=N")]
        rates: Vec<Rate>,
        /// Subdomain of the tenant
        #[arg(long)]
        tenant: Subdomain,
    },
}

/// How many deletes within which time, as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    window: Window,
    deletes: Option<u64>,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let (window, deletes) = typed.split_once('=').ok_or("must be WINDOW=N")?;
        let window: Window = window.parse().map_err(|malformed| format!("{malformed}"))?;
        let deletes = match deletes {
            DEFAULT => None,
            number => {
                let number = number.parse::<u32>();
                let wrong = |_| format!("the number must be 0 to {} or `{DEFAULT}`", u32::MAX);
                Some(number.map_err(wrong)?.into())
            }
        };
        Ok(Self { window, deletes })
    }
}

/// One line of the answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    scope: Scope,
    window: Window,
    /// Only where deletes of one have been counted.
    caller: Option<String>,
    /// 0 is unlimited.
    limit: u64,
    /// `tenant` or `configuration`.
    set_by: &'static str,
    deletes: u64,
    until_ms: Option<u64>,
}

pub(crate) async fn run(verb: Verb, data: &DataDirectory) -> Result<Answer, Failure> {
    match verb {
        Verb::Show { tenant } => {
            let tenant = tenant::named(data, &tenant).await?.id;
            let limits = data.tenants.limits(tenant).await?;
            let spent = data.tenants.spent(tenant, now_ms()).await?;
            Answer::table(&rows(&data.config.budget, &limits, &spent), COLUMNS)
        }
        Verb::Set {
            scope,
            rates,
            tenant,
        } => {
            let limit = |rate: &Rate| Limit {
                scope,
                window: rate.window,
                deletes: rate.deletes,
            };
            let limits: Vec<Limit> = rates.iter().map(limit).collect();
            let id = tenant::named(data, &tenant).await?.id;
            data.tenants.set_limits(id, &limits).await?;
            Answer::line(&limits, format!("set for {tenant}"))
        }
    }
}

/// What is limited, or was said to be unlimited for this tenant; what was counted, beside it.
fn rows(configured: &Budget, limits: &[Limit], spent: &[Spent]) -> Vec<Row> {
    let mut rows = Vec::new();
    for budget in budget::in_force(configured, limits) {
        if !budget.is_own && budget.deletes == 0 {
            continue;
        }
        let row = |one: Option<&Spent>| Row {
            scope: budget.scope,
            window: budget.window,
            caller: one.and_then(|one| one.caller.clone()),
            limit: budget.deletes,
            set_by: if budget.is_own {
                "tenant"
            } else {
                "configuration"
            },
            deletes: one.map_or(0, |one| one.deletes),
            until_ms: one.map(|one| one.until_ms),
        };
        let is_of = |one: &&Spent| {
            one.window == budget.window && one.caller.is_some() == (budget.scope == Scope::Caller)
        };
        let before = rows.len();
        rows.extend(spent.iter().filter(is_of).map(|one| row(Some(one))));
        if rows.len() == before {
            rows.push(row(None));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_window_and_a_number_or_the_default() {
        let rate = |window, deletes| Ok(Rate { window, deletes });
        assert_eq!("day=500".parse(), rate(Window::Day, Some(500)));
        assert_eq!("second=0".parse(), rate(Window::Second, Some(0)));
        assert_eq!("week=default".parse(), rate(Window::Week, None));
        for typed in [
            "", "day", "day=", "month=1", "Day=1", "day=-1", "day=1.5", "=1",
        ] {
            assert!(typed.parse::<Rate>().is_err(), "{typed}");
        }
    }

    #[test]
    fn what_is_shown_is_what_is_limited_with_what_is_spent_of_it() {
        let limits = [Limit {
            scope: Scope::Caller,
            window: Window::Hour,
            deletes: Some(0),
        }];
        let spent = |caller: Option<&str>, window| Spent {
            caller: caller.map(str::to_owned),
            window,
            deletes: 3,
            until_ms: 9,
        };
        let spent = [
            spent(None, Window::Day),
            spent(Some("k1"), Window::Day),
            spent(Some("k2"), Window::Day),
            spent(None, Window::Week),
        ];
        let mut configured = Budget::default();
        configured.tenant.per_day = 7;
        configured.caller.per_day = 7;
        let rows = rows(&configured, &limits, &spent);
        let shown: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.scope,
                    row.window,
                    row.caller.as_deref(),
                    row.limit,
                    row.deletes,
                )
            })
            .collect();
        let expected = [
            (Scope::Tenant, Window::Day, None, 7, 3),
            (Scope::Caller, Window::Hour, None, 0, 0),
            (Scope::Caller, Window::Day, Some("k1"), 7, 3),
            (Scope::Caller, Window::Day, Some("k2"), 7, 3),
        ];
        assert_eq!(shown, expected);
        assert_eq!(rows[0].set_by, "configuration");
        assert_eq!((rows[1].set_by, rows[1].until_ms), ("tenant", None));
    }
}
