// Writes as many results as wanted in vegeta's own format, as one attack at 50,000 a second would have left them:
// of two humps, with one error in a hundred. The same number gives the same bytes.
package main

import (
	"bufio"
	"encoding/gob"
	"log"
	"math"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Result is vegeta's, field by field: gob knows it by its name and theirs.
type Result struct {
	Attack    string
	Seq       uint64
	Code      uint16
	Timestamp time.Time
	Latency   time.Duration
	BytesOut  uint64
	BytesIn   uint64
	Error     string
	Body      []byte
	Method    string
	URL       string
	Headers   http.Header
}

func main() {
	number, err := strconv.ParseUint(os.Args[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	random := rand.New(rand.NewSource(7))
	stream := bufio.NewWriterSize(os.Stdout, 1<<20)
	encoder := gob.NewEncoder(stream)
	began := time.Unix(1767225600, 0)
	headers := http.Header{
		"Content-Type":   {"application/json"},
		"Content-Length": {"15"},
		"Date":           {"Thu, 01 Jan 2026 00:00:00 GMT"},
	}
	for seq := uint64(0); seq < number; seq++ {
		late := time.Duration(random.ExpFloat64() * 1e5)
		result := Result{
			Seq: seq, Code: 200, Timestamp: began.Add(time.Duration(seq)*20*time.Microsecond + late),
			Latency: latency(random), BytesIn: 15, Method: "GET", URL: "http://127.0.0.1:5000/health", Headers: headers,
		}
		if random.Float64() < 0.01 {
			result.Code, result.Error = 503, "503 Service Unavailable"
		}
		if err := encoder.Encode(&result); err != nil {
			log.Fatal(err)
		}
	}
	if err := stream.Flush(); err != nil {
		log.Fatal(err)
	}
}

func latency(random *rand.Rand) time.Duration {
	middle, width := 3e6, 0.35
	if random.Float64() < 0.08 {
		middle, width = 6e7, 0.3
	}
	return time.Duration(middle * math.Exp(width*random.NormFloat64()))
}
