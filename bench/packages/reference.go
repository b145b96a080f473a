// What Go does with the same names and the same servers. usage: reference resolve | resolve-cpu COUNT | http PORT
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch os.Args[1] {
	case "resolve":
		lines(resolve)
	case "resolve-cpu":
		count, _ := strconv.Atoi(os.Args[2])
		cpu(count)
	case "http":
		client := &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
			Timeout:       3 * time.Second,
		}
		lines(func(path string) string { return get(client, "http://127.0.0.1:"+os.Args[2]+path) })
	}
}

func lines(answer func(string) string) {
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		began := time.Now()
		text := answer(scanner.Text())
		fmt.Printf("%s\t%.1f\n", text, time.Since(began).Seconds())
	}
}

func lookup(name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	return (&net.Resolver{PreferGo: true}).LookupNetIP(ctx, "ip", name)
}

func resolve(name string) string {
	found, err := lookup(strings.TrimPrefix(name, "="))
	var dns *net.DNSError
	switch {
	case err == nil:
		var families [2][]string
		for _, ip := range found {
			ip = ip.Unmap()
			family := 0
			if ip.Is6() {
				family = 1
			}
			families[family] = append(families[family], ip.String())
		}
		return strings.Join(families[0], ",") + " " + strings.Join(families[1], ",")
	case errors.As(err, &dns) && dns.IsNotFound:
		return "none"
	case errors.As(err, &dns) && dns.IsTimeout:
		return "timeout"
	}
	return "fault"
}

func cpu(count int) {
	lookup("two.test")
	before := used()
	done := make(chan bool)
	for task := range 16 {
		go func() {
			for number := range count / 16 {
				lookup(fmt.Sprintf("n%d.test", (number+task*12)%200))
			}
			done <- true
		}()
	}
	for range 16 {
		<-done
	}
	fmt.Printf("%.1f\n", float64(used()-before)/1e3/float64(count))
}

func used() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func get(client *http.Client, url string) string {
	response, err := client.Get(url)
	if err != nil {
		return "error"
	}
	defer response.Body.Close()
	length, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return "error"
	}
	return fmt.Sprintf("%d %d", response.StatusCode, length)
}
