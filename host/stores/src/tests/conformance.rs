//! The suite that every backend passes. [`suite!`] runs it over one.

mod blobs;
mod budgets;
mod catalogue;
mod decisions;
mod inventory;
mod ledger;
mod objects;
mod outcomes;
mod policies;
mod tenants;

use super::Backend;

macro_rules! suite {
    ($backend:expr; $($module:ident { $($sentence:ident)* })*) => {
        $($(
            #[tokio::test]
            async fn $sentence() {
                $module::$sentence(&$backend.await).await;
            }
        )*)*
    };
}

suite! { Backend::embedded();
    objects {
        an_erasure_takes_the_row_and_dooms_every_blob
        an_erasure_leaves_an_event_and_its_decision
        of_two_erasures_of_one_object_in_a_group_the_first_wins
        a_hold_that_came_after_the_decision_wins
        a_retention_date_that_came_after_the_decision_wins
        a_stale_decision_erases_nothing
        a_decision_on_a_predecessor_of_the_same_name_erases_nothing
        a_doomed_blob_waits_for_its_lease
        a_failed_removal_is_put_off_and_counted
        what_lies_too_far_ahead_is_brought_forward
        bytes_that_were_absent_are_noted_at_the_event
        a_recorded_refusal_is_kept_and_erases_nothing
    }
    budgets {
        a_group_erases_exactly_as_many_as_a_budget_allows
        a_budget_of_one_is_no_matter_of_another
        only_a_committed_erasure_is_counted
        of_several_budgets_the_one_that_lasts_longest_is_told
        a_window_that_begins_brings_a_budget_of_its_own
        a_limit_set_for_a_tenant_stands_in_place_of_the_configured_one
        a_window_without_a_limit_is_not_counted
        counts_of_long_ago_are_forgotten
    }
    outcomes {
        an_erasure_is_kept_with_what_it_doomed_until_that_is_settled
        of_two_erasures_of_one_key_the_second_is_a_repeat
        a_new_object_of_the_same_name_is_no_matter_of_a_repeat
        a_conflict_is_kept_if_it_is_final
        of_two_refusals_of_one_key_the_first_is_kept_as_it_was
        a_caller_beyond_its_bound_waits_until_its_oldest_outcome_is_forgotten
        an_outcome_is_forgotten_in_time_and_its_key_is_as_new
    }
    catalogue {
        what_was_uploaded_is_found_as_it_was
        a_foreign_name_finds_nothing
        an_id_is_taken_while_its_object_lives
        an_upload_without_a_reservation_is_refused_whole
        a_reservation_that_ran_out_is_not_taken_back
        several_holds_are_released_together
        a_list_is_ordered_by_time_and_id_however_it_was_stored
        a_list_that_is_deleted_from_while_it_is_paged_skips_nothing
        a_position_needs_no_object_that_is_there
    }
    decisions {
        a_decision_is_found_as_it_was_made_and_by_its_tenant_alone
        decisions_are_found_by_whatever_they_are_about
        a_list_goes_on_where_it_ended_whatever_is_recorded_meanwhile
    }
    blobs {
        a_blob_is_read_as_written_until_it_is_removed
        a_read_that_is_under_way_fails_once_the_blob_is_removed
        an_absent_blob_is_said_to_be_absent
        several_removals_are_answered_in_order
    }
    inventory {
        every_blob_is_listed_once
        sizes_are_told_in_order_and_of_the_absent_none
    }
    ledger {
        a_sound_storage_has_nothing_wrong_with_it
        what_a_row_or_a_shred_record_names_is_not_unnamed
        the_blobs_of_rows_are_paged_by_key
        what_is_overdue_tells_attempts_and_error
        what_was_tried_comes_before_what_is_due_and_a_count_ends_where_it_is_told_to
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
    }
}
