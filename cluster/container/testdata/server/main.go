// Server does what the tests of containers ask for: it says something, listens after
// a while, answers /fine with 200 and the rest with 503, or ends.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	after := flag.Duration("after", 0, "begin to listen so much later")
	listen := flag.String("listen", "", "address; listen nowhere without one")
	exit := flag.Int("exit", -1, "end at once with this code")
	show := flag.String("show", "", "print this file first")
	ask := flag.String("ask", "", "only ask for this URL, and fail if there is no answer")
	flag.Parse()
	if *ask != "" {
		answer, err := http.Get(*ask)
		if err != nil || answer.StatusCode != http.StatusOK {
			fmt.Println(answer, err)
			os.Exit(1)
		}
		answer.Body.Close()
		return
	}
	fmt.Println("started with", os.Getenv("GREETING"))
	if *show != "" {
		content, err := os.ReadFile(*show)
		fmt.Println(string(content), err)
	}
	if *exit >= 0 {
		fmt.Fprintln(os.Stderr, "cannot go on")
		os.Exit(*exit)
	}
	time.Sleep(*after)
	if *listen == "" {
		time.Sleep(time.Hour)
	}
	fmt.Println("about to listen")
	http.HandleFunc("/fine", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	fmt.Println(http.ListenAndServe(*listen, nil))
}
