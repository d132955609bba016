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
	probe := flag.Bool("probe", false, "ask the server that runs beside, and fail if it does not answer")
	flag.Parse()
	if *probe {
		answer, err := http.Get("http://127.0.0.1:8080/fine")
		if err != nil {
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
