// Prog is an image for scenarios in tests: it is looked at, never built.
package main

func main() {}
