// Package verdict says what a record means. It is pure: the same [history.History]
// gives the same [Run], on any machine and at any time, so a saved record can be
// judged again when the rules improve.
//
// # The period
//
// Users are counted from the start of the release to the end of confirmation: the
// instant at which healing began, or else at which the load ended. Arrivals that
// were due while the load generator itself stalled, for a tenth of the SLO's latency
// or more, are void: they count neither as good nor as bad.
//
// # What an incident is
//
// An SLO of 99.9 % allows one bad answer in a thousand, so a bad answer is not yet
// an incident. The sequence of arrivals, each good or bad, is cut where the rate of
// bad ones changes ([stats.Segments]). A segment violates the SLO if an exact
// one-sided binomial test rejects "the rate is at most 1 − availability" at 1 %
// divided by the number of arrivals, for a burst could have begun at any of them.
// Neighbouring violating segments are one span, from their first bad arrival to
// their last; four or five bad arrivals in a row are one, and so are the answers of
// a failing canary at one twentieth of the traffic.
//
// Spans less than recover.confirm apart are one incident, and each join is a
// relapse. The incident has recovered at the first arrival after its last bad one,
// if from there the SLO holds through the confirmation: an exact test at 1 %, the
// same that proves the steady state, does not reject it. Otherwise it goes on. It
// has not recovered if the record ends within the confirmation.
//
// Onset and recovery are the likeliest instants; each has an interval that holds the true
// one with a chance of 95 % ([stats.ChangeBounds]), from one arrival to another.
//
// # What caused it
//
// A fault, if the incident began while the fault was on; one SLO latency of slack
// on either side, for requests under way are hit as well and arrivals are indexed by
// when they were due. A one-shot fault counts as on for recover.confirm. Otherwise
// the step that began last; otherwise the cause is unknown.
//
// # Judging
//
// Each check names its assumptions. A check whose assumption is broken is unjudged,
// whatever was measured, and a run with an unjudged check is invalid unless another
// check fails.
package verdict
