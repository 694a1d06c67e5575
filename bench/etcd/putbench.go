// putbench drives an etcd cluster with etcd's own Go client: N puts in flight over C mTLS connections, for a fixed
// number of puts after a warm-up. It prints one line of JSON: puts per second and latency quantiles in milliseconds.
// With --probe it writes at a steady pace through each member instead, see probe().
//
// Built by bench/etcd/etcd-cluster.ts against Debian's golang-etcd-server-dev, GOPATH mode.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io/ioutil"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/clientv3"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "putbench:", err)
		os.Exit(1)
	}
}

func tlsFrom(ca, cert, key string) *tls.Config {
	if ca == "" {
		return nil
	}
	pem, err := ioutil.ReadFile(ca)
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(cert, key)
	must(err)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// leaderOf asks each member who it is and who leads.
func leaderOf(addresses []string, secure *tls.Config) string {
	client, err := clientv3.New(clientv3.Config{Endpoints: addresses, DialTimeout: 5 * time.Second, TLS: secure})
	must(err)
	defer client.Close()
	for _, address := range addresses {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		status, err := client.Status(ctx, address)
		cancel()
		must(err)
		if status.Leader == status.Header.MemberId {
			return address
		}
	}
	must(fmt.Errorf("no member says that it leads"))
	return ""
}

type result struct {
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	P999      float64 `json:"p999"`
	Count     int     `json:"count"`
}

// probe writes through each member every `every` milliseconds, each write by itself and never repeated, and prints
// "asked acknowledged place" (Unix milliseconds, and which address) for each that is acknowledged. It ends when its input does.
func probe(addresses []string, secure *tls.Config, every float64, value string) {
	out := bufio.NewWriter(os.Stdout)
	var mutex sync.Mutex
	now := func() float64 { return float64(time.Now().UnixNano()) / 1e6 }
	for at, address := range addresses {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: 5 * time.Second, TLS: secure})
		must(err)
		go func(at int, client *clientv3.Client) {
			n := 0
			for range time.Tick(time.Duration(every * float64(time.Millisecond))) {
				n++
				go func(n int) {
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					defer cancel()
					asked := now()
					_, err := client.Put(ctx, fmt.Sprintf("probe%d-%d", at, n%100), value)
					if err != nil {
						return
					}
					acknowledged := now()
					mutex.Lock()
					fmt.Fprintf(out, "%.3f %.3f %d\n", asked, acknowledged, at)
					out.Flush()
					mutex.Unlock()
				}(n)
			}
		}(at, client)
	}
	ioutil.ReadAll(os.Stdin)
}

func main() {
	endpoints := flag.String("endpoints", "127.0.0.1:12379", "comma separated")
	inFlight := flag.Int("in-flight", 64, "puts in flight")
	connections := flag.Int("connections", 4, "client connections")
	total := flag.Int64("total", 20000, "puts to time")
	size := flag.Int("size", 256, "bytes a value")
	warm := flag.Int64("warm", 0, "puts before them, not timed")
	keys := flag.Int64("keys", 10000, "distinct keys")
	from := flag.Int64("from", 0, "the first key's number")
	every := flag.Float64("probe", 0, "write through each member every so many milliseconds, until the input ends")
	leader := flag.Bool("leader", false, "talk to the leader only")
	read := flag.Bool("read", false, "linearizable gets instead of puts")
	ca := flag.String("ca", "", "CA certificate (PEM)")
	cert := flag.String("cert", "", "client certificate (PEM)")
	key := flag.String("key", "", "client key (PEM)")
	flag.Parse()

	value := strings.Repeat("x", *size)
	addresses := strings.Split(*endpoints, ",")
	if *every > 0 {
		probe(addresses, tlsFrom(*ca, *cert, *key), *every, value)
		return
	}
	if *leader {
		addresses = []string{leaderOf(addresses, tlsFrom(*ca, *cert, *key))}
	}
	clients := []*clientv3.Client{}
	for i := 0; i < *connections; i++ {
		client, err := clientv3.New(clientv3.Config{
			Endpoints: addresses, DialTimeout: 5 * time.Second, TLS: tlsFrom(*ca, *cert, *key),
		})
		must(err)
		defer client.Close()
		clients = append(clients, client)
	}

	run := func(count int64) ([]float64, time.Duration) {
		var next int64
		latencies := make([][]float64, *inFlight)
		var group sync.WaitGroup
		start := time.Now()
		for worker := 0; worker < *inFlight; worker++ {
			group.Add(1)
			go func(worker int) {
				defer group.Done()
				client := clients[worker%len(clients)]
				for {
					n := atomic.AddInt64(&next, 1)
					if n > count {
						return
					}
					name := fmt.Sprintf("k%08d", *from+(n-1)%*keys)
					began := time.Now()
					var err error
					if *read {
						var got *clientv3.GetResponse
						got, err = client.Get(context.Background(), name)
						if err == nil && len(got.Kvs) == 0 {
							err = fmt.Errorf("read %d found nothing", n)
						}
					} else {
						_, err = client.Put(context.Background(), name, value)
					}
					must(err)
					latencies[worker] = append(latencies[worker], time.Since(began).Seconds()*1e3)
				}
			}(worker)
		}
		group.Wait()
		elapsed := time.Since(start)
		all := []float64{}
		for _, row := range latencies {
			all = append(all, row...)
		}
		sort.Float64s(all)
		return all, elapsed
	}

	if *warm > 0 {
		run(*warm)
	}
	all, elapsed := run(*total)
	at := func(q float64) float64 { return all[int(q*float64(len(all)-1))] }
	must(json.NewEncoder(os.Stdout).Encode(result{
		float64(len(all)) / elapsed.Seconds(), at(0.5), at(0.99), at(0.999), len(all) + int(*warm),
	}))
}
