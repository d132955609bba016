// Package scenarios holds the shipped scenarios and reads them, and anyone's:
// strictly. A file is decoded, filled with defaults and validated in one go, and
// every problem in it is reported at once, each with its line and what to write
// instead. What the format promises but nothing implements yet is refused as not
// supported, never ignored.
//
// A [Scenario] is data: it holds no clients and knows nothing of how it is run.
package scenarios
