//! The conformance suite: what any storage must do, as named behaviours, which one call runs.
//!
//! ```ignore
//! let report = conformance::run(async || my_platform().await).await;
//! assert!(report.holds(), "{report}");
//! ```
//!
//! The caller makes a fresh [`Subject`] for each behaviour, and says what time it is: the suite has no clock
//! and no directory of its own. A platform that embeds the crate is asked for what the flow of a delete
//! needs. One that brings all that the service stands on ([`Subject::of_service`]) is asked for the rest too.
//! What is not brought is told as such, and is no failure.
//!
//! Of the feature `conformance`. A behaviour fails by a panic, which is caught and told in the report.

mod budgets;
mod chains;
mod decisions;
mod objects;
mod outcomes;
mod removals;
mod service;
mod subject;

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

pub use self::service::{FIRST, LATEST, Service};
use self::service::{catalogue, content, history, inventory, ledger, policies, tenants};
pub use self::subject::{Fixture, Subject, allowed, denied, entry, erasure};

/// How a behaviour is tried.
enum Check {
    /// On what every platform brings.
    Flow(for<'a> fn(&'a Subject) -> BoxFuture<'a, ()>),
    /// On a platform that keeps outcomes.
    Outcomes(for<'a> fn(&'a Subject) -> BoxFuture<'a, ()>),
    /// On all that the service stands on.
    Service(for<'a> fn(&'a Service) -> BoxFuture<'a, ()>),
}

/// The behaviours, with their modules.
macro_rules! behaviours {
    ($($check:ident { $($module:ident { $($behaviour:ident)* })* })*) => {
        const BEHAVIOURS: &[(&str, Check)] = &[$($($((
            concat!(stringify!($module), "::", stringify!($behaviour)),
            Check::$check(|subject| $module::$behaviour(subject).boxed()),
        ),)*)*)*];
    };
}

behaviours! {
    Flow {
        objects {
            an_erasure_takes_the_row_and_dooms_every_blob
            an_erasure_leaves_its_decision
            of_two_erasures_of_one_object_in_a_group_the_first_wins
            an_erasure_that_conflicts_keeps_no_other_of_its_group
            a_hold_that_came_after_the_decision_wins
            a_retention_date_that_came_after_the_decision_wins
            a_stale_decision_erases_nothing
            a_decision_on_a_predecessor_of_the_same_name_erases_nothing
            a_foreign_name_finds_nothing
        }
        removals {
            a_doomed_blob_waits_for_its_lease
            what_is_claimed_is_left_to_its_owner_until_the_lease_ends
            a_failed_removal_is_put_off_and_counted
            what_somebody_else_has_claimed_since_is_not_put_off
            what_lies_too_far_ahead_is_brought_forward
            what_is_struck_off_is_claimed_no_more
            removed_bytes_are_absent
            several_removals_are_answered_in_order
        }
        decisions {
            recorded_refusals_are_kept_and_erase_nothing
        }
        chains {
            a_tenant_that_is_not_there_has_no_chain
            a_component_is_kept_as_it_was_given
        }
        budgets {
            a_group_erases_exactly_as_many_as_a_budget_allows
            a_budget_of_one_caller_is_no_matter_of_another
            only_a_committed_erasure_is_counted
            of_several_budgets_the_one_that_lasts_longest_is_told
            a_window_that_begins_brings_a_budget_of_its_own
        }
    }
    Outcomes {
        outcomes {
            an_erasure_is_kept_with_what_it_doomed_until_that_is_settled
            of_two_erasures_of_one_key_the_second_is_a_repeat
            a_new_object_of_the_same_name_is_no_matter_of_a_repeat
            a_conflict_is_kept_if_it_is_final
            of_two_refusals_of_one_key_the_first_is_kept_as_it_was
            a_caller_beyond_its_bound_waits_until_its_oldest_outcome_is_forgotten
            an_outcome_is_forgotten_in_time_and_its_key_is_as_new
        }
    }
    Service {
        catalogue {
            what_was_uploaded_is_found_as_it_was
            a_foreign_name_shows_nothing
            an_id_is_taken_while_its_object_lives
            an_upload_without_a_reservation_is_refused_whole
            a_reservation_that_was_claimed_is_not_taken_back
            several_holds_are_released_together
            a_list_is_ordered_by_time_and_id_however_it_was_stored
            a_list_that_is_deleted_from_while_it_is_paged_skips_nothing
            a_position_needs_no_object_that_is_there
        }
        history {
            an_erasure_leaves_an_event
            bytes_that_were_absent_are_noted_at_the_event
            a_decision_is_found_as_it_was_made_and_by_its_tenant_alone
            decisions_are_found_by_whatever_they_are_about
            a_list_goes_on_where_it_ended_whatever_is_recorded_meanwhile
        }
        content {
            a_blob_is_read_as_written_until_it_is_removed
            a_part_of_a_blob_is_read_as_it_was_written
            a_read_that_is_under_way_fails_once_the_blob_is_removed
            content_of_another_length_than_was_said_is_refused
        }
        inventory {
            every_blob_is_listed_once_with_its_size_and_time
            sizes_are_told_in_order_and_of_the_absent_none
        }
        ledger {
            a_sound_storage_has_nothing_wrong_with_it
            what_a_row_or_a_shred_record_names_is_not_unnamed
            the_blobs_of_rows_are_paged_by_key
            what_is_overdue_tells_attempts_and_error
            what_was_tried_comes_before_what_is_due_and_a_count_ends_where_it_is_told_to
            a_reservation_is_brought_forward_to_a_time_of_its_own
            a_lost_object_is_forgotten_unless_something_stands_against_it
        }
        policies {
            a_chain_is_in_force_once_assigned
            a_chain_names_only_components_that_are_kept
            the_operator_chooses_the_plugin
            every_revision_tells_who_when_and_why
            a_change_meant_for_another_revision_changes_nothing
            a_change_that_may_allow_more_is_held_to_a_replay
            a_component_is_kept_once_and_tells_of_itself
            a_shadow_is_counted_and_its_worst_differences_come_first
            a_shadow_ends_when_it_is_replaced_dropped_or_in_force
        }
        tenants {
            a_site_key_speaks_for_its_website_until_revoked_or_expired
            a_client_reaches_only_where_it_has_a_grant
            a_client_beyond_its_tokens_loses_its_own_that_would_expire_first
            a_token_speaks_for_its_client_until_revoked_or_expired
            names_of_tenants_are_taken_once
            a_budget_of_one_tenant_is_no_matter_of_another
            a_limit_set_for_a_tenant_stands_in_place_of_the_configured_one
            a_window_without_a_limit_is_not_counted
            counts_of_long_ago_are_forgotten
        }
    }
}

/// Tries every behaviour, each on a fresh subject.
pub async fn run(fresh: impl AsyncFn() -> Subject) -> Report {
    let mut report = Report::default();
    for (behaviour, check) in BEHAVIOURS {
        let subject = Arc::new(fresh().await);
        let whole = Service::of(&subject);
        let trying = match (check, &whole) {
            (Check::Flow(check), _) => check(&subject),
            (Check::Outcomes(check), _) if subject.keeps_outcomes => check(&subject),
            (Check::Service(check), Some(whole)) => check(whole),
            _ => {
                report.not_brought.push(behaviour);
                continue;
            }
        };
        match AssertUnwindSafe(trying).catch_unwind().await {
            Ok(()) => report.held.push(behaviour),
            Err(said) => report.broken.push((behaviour, words(&*said))),
        }
    }
    report
}

/// What a panic said.
fn words(said: &(dyn Any + Send)) -> String {
    let owned = said.downcast_ref::<String>().cloned();
    let text = || said.downcast_ref::<&str>().map(ToString::to_string);
    owned.or_else(text).unwrap_or_default()
}

/// How a storage fared.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The behaviours that it has, by name.
    pub held: Vec<&'static str>,
    /// Those that it does not have, each with what was found instead.
    pub broken: Vec<(&'static str, String)>,
    /// Those that were not tried, because the platform does not bring what they are about.
    pub not_brought: Vec<&'static str>,
}

impl Report {
    /// Whether nothing is broken.
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (behaviour, found) in &self.broken {
            writeln!(f, "broken: {behaviour}\n{found}")?;
        }
        let (held, broken) = (self.held.len(), self.broken.len());
        let missing = self.not_brought.len();
        writeln!(
            f,
            "{held} hold, {broken} are broken, {missing} are not brought"
        )
    }
}
