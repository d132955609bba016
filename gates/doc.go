// Package gates reads live traffic and says whether it is good enough. A gate has
// no policy: how often it is asked, how many failures count and what happens
// without data is decided by whoever asks.
package gates
