//! An instance's counters by day (UTC), for its owner and for its keys.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::message::Kind;
use shared::ids::InstanceId;
use shared::storage::counters::{Counters, Counts};
use utoipa::ToSchema;

use crate::http::{ApiError, Date, Fields};

/// Days that are told of where the caller names none.
const DEFAULT_DAYS: i64 = 30;

/// Most days at once.
const MAX_DAYS: i64 = 366;

/// `?from=&to=`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = Option<Date>)]
    from: Option<String>,
    #[schema(value_type = Option<Date>)]
    to: Option<String>,
}

/// The counters of some days, and their sums.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Statistics)]
pub struct Response {
    #[schema(value_type = Date)]
    from: NaiveDate,
    #[schema(value_type = Date)]
    to: NaiveDate,
    totals: Totals,
    #[schema(example = json!({"text": 1}))]
    by_kind: BTreeMap<Kind, u64>,
    days: Vec<Day>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayOfStatistics)]
struct Day {
    #[schema(value_type = Date)]
    date: NaiveDate,
    #[serde(flatten)]
    totals: Totals,
}

/// What happened to messages.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Totals)]
pub struct Totals {
    sent: u64,
    delivered: u64,
    read: u64,
    failed: u64,
    received: u64,
}

impl Response {
    /// The counters of an instance in the days that are asked for.
    pub async fn of(
        counters: &Counters,
        instance: InstanceId,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Self, ApiError> {
        let (from, to) = range(request, now.date_naive())?;
        let days = counters.list_days(instance, from, to).await?;
        let mut sum = Counts::default();
        for (_, counts) in &days {
            sum.add(counts);
        }
        let day = |(date, counts): &(NaiveDate, Counts)| Day {
            date: *date,
            totals: Totals::from(counts),
        };
        Ok(Self {
            from,
            to,
            totals: Totals::from(&sum),
            by_kind: sum.sent_by_kind,
            // Newest first, as all lists.
            days: days.iter().rev().map(day).collect(),
        })
    }
}

impl From<&Counts> for Totals {
    fn from(counts: &Counts) -> Self {
        Self {
            sent: counts.sent,
            delivered: counts.delivered,
            read: counts.read,
            failed: counts.failed,
            received: counts.received,
        }
    }
}

fn range(request: &Request, today: NaiveDate) -> Result<(NaiveDate, NaiveDate), ApiError> {
    let mut fields = Fields::default();
    let mut date = |name, text: &Option<String>| fields.date(name, text.as_deref()?);
    let (from, to) = (date("from", &request.from), date("to", &request.to));
    fields.finish()?;
    let to = to.unwrap_or(today);
    let from = from.unwrap_or(to - TimeDelta::days(DEFAULT_DAYS - 1));
    let days = (to - from).num_days() + 1;
    if !(1..=MAX_DAYS).contains(&days) {
        let message = format!("must lie 1 to {MAX_DAYS} days before the end of `to`");
        return Err(ApiError::field("from", message));
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(from: Option<&str>, to: Option<&str>) -> Result<(String, String), ApiError> {
        let request = Request {
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let today = NaiveDate::from_ymd_opt(2026, 1, 31).expect("a date");
        range(&request, today).map(|(from, to)| (from.to_string(), to.to_string()))
    }

    #[test]
    fn thirty_days_are_told_of_where_none_are_named() {
        let is = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(days(None, None).expect("fine"), is("2026-01-02", "2026-01-31"));
        assert_eq!(
            days(None, Some("2025-12-31")).expect("fine"),
            is("2025-12-02", "2025-12-31")
        );
        assert_eq!(
            days(Some("2026-01-31"), None).expect("fine"),
            is("2026-01-31", "2026-01-31")
        );
    }

    #[test]
    fn a_range_has_an_order_and_an_end() {
        assert!(days(Some("2026-02-01"), None).is_err());
        assert!(days(Some("2025-01-30"), None).is_err());
        assert!(days(Some("2025-01-31"), None).is_ok());
        assert!(days(Some("yesterday"), None).is_err());
        // Dates whose neighbours are out of a date's range.
        assert!(days(Some("-262143-01-01"), Some("+262142-12-31")).is_err());
        assert!(days(None, Some("-262143-01-01")).is_err());
        assert!(days(None, Some("0000-01-01")).is_ok());
    }
}
