// Package gates reads live traffic, and asks others, whether a release is good
// enough. A gate has no policy: how often it is asked, how many failures count and
// what happens without data is decided by whoever asks.
//
// No gate lets anything pass that it has no data about: a source that refuses, is
// silent, or answers what cannot be understood is no data, and a reading says so.
package gates
