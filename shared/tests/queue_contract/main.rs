//! What every adapter of the queue port promises, run over each of them.
//!
//! The embedded adapter always runs, and so does the SQS adapter over a stand-in of SQS's protocol on top of it. Against
//! a service of its own the SQS adapter needs an endpoint in `WAXWING_SQS_ENDPOINT`; without one these tests are listed
//! as ignored, with this reason. `.ci/run` starts one, ministack, and runs them with `--include-ignored`.
//!
//! Ministack lacks three limits: its receipts do not end before the next delivery, a delivery may last more than 12
//! h, and it looks at all messages for free groups. So it is not asked for the first two. The third takes 120,000
//! messages to show on SQS; `queue_embedded` shows it with fewer.

mod adapters;
mod attempts;
mod cases;

/// Each case once per adapter. What stands behind `beyond` the service behind `WAXWING_SQS_ENDPOINT` need not know.
macro_rules! contract {
    (
        everywhere { $($module:ident :: $case:ident),+ $(,)? }
        beyond { $($more:ident :: $further:ident),+ $(,)? }
    ) => {
        contract!(here embedded Embedded { $($module::$case,)+ $($more::$further,)+ });
        contract!(here sqs_stand_in SqsOverEmbedded { $($module::$case,)+ $($more::$further,)+ });
        mod sqs {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "not run: needs an SQS endpoint in WAXWING_SQS_ENDPOINT, which .ci/run starts"]
                async fn $case() {
                    crate::cases::$module::$case(&mut crate::adapters::Sqs::start()).await;
                }
            )+
        }
    };
    (here $adapter:ident $kind:ident { $($module:ident :: $case:ident,)+ }) => {
        mod $adapter {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::cases::$module::$case(&mut crate::adapters::$kind::start().await).await;
                }
            )+
        }
    };
}

contract! {
    everywhere {
        order::keeps_the_order_of_each_group,
        order::a_group_in_flight_is_blocked_and_others_are_not,
        order::a_receive_may_take_several_of_a_group,
        order::a_returned_message_keeps_its_place,
        order::a_duplicate_is_accepted_and_dropped,
        order::deduplication_counts_per_group,
        order::eight_consumers_handle_each_message_once,
        visibility::an_abandoned_message_comes_back,
        visibility::an_extension_keeps_a_message_hidden,
        visibility::zero_returns_a_message_at_once,
        visibility::an_old_receipt_is_stale_after_another_delivery,
        visibility::a_deleted_message_is_gone,
        visibility::a_crash_loses_nothing,
        visibility::batches_answer_for_each_entry,
        polling::a_poll_wakes_for_a_send,
        polling::a_poll_wakes_when_a_group_is_free_again,
        polling::a_poll_ends_empty_after_its_wait,
        polling::a_delayed_message_comes_after_its_delay,
        limits::one_mebibyte_fits_and_more_is_refused,
        limits::unicode_and_line_ends_come_back_as_sent,
        limits::mistakes_are_refused,
        limits::an_unknown_queue_is_named,
        limits::depth_counts_by_state,
        limits::ensure_may_be_repeated,
        batches::a_batch_keeps_the_order_of_each_group,
        batches::each_message_of_a_batch_has_its_own_answer,
        batches::a_batch_that_is_too_large_is_refused_as_a_whole,
        batches::a_batch_to_an_unknown_queue_names_it,
        dead_letters::a_fifo_message_moves_after_its_last_delivery,
        dead_letters::a_standard_message_moves_after_its_last_delivery,
        dead_letters::every_queue_of_a_deployment_can_be_created,
    }
    beyond {
        visibility::a_receipt_ends_with_its_visibility,
        visibility::a_delivery_ends_after_twelve_hours,
    }
}
