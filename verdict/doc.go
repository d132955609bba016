// Package verdict says what a record means. It is pure: the same [history.History]
// gives the same [Run], on any machine and at any time, so a saved record can be
// judged again when the rules improve.
package verdict
