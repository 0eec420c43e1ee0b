// A gRPC server and a gRPC client of grpc-go, whose HTTP/2 asks by PING for the time of a round trip with nearly every
// message: `serve` prints its port and ends with its standard input, `call ADDRESS` calls and prints what failed.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
)

const (
	unaryCalls     = 2000
	streams        = 20
	messages       = 40
	messageEvery   = 100 * time.Millisecond
	callTimeout    = 10 * time.Second
	streamsTimeout = 30 * time.Second
)

// rawCodec passes messages as they are, so that no code needs to be generated for them.
type rawCodec struct{}

func (rawCodec) Marshal(value interface{}) ([]byte, error) { return *value.(*[]byte), nil }

func (rawCodec) Unmarshal(data []byte, value interface{}) error {
	*value.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (rawCodec) Name() string   { return "raw" }
func (rawCodec) String() string { return "raw" }

func unary(_ interface{}, _ context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	var message []byte
	if err := decode(&message); err != nil {
		return nil, err
	}
	return &message, nil
}

func chat(_ interface{}, stream grpc.ServerStream) error {
	for {
		var message []byte
		if err := stream.RecvMsg(&message); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
}

var echo = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*interface{})(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: unary}},
	Streams:     []grpc.StreamDesc{{StreamName: "Chat", Handler: chat, ServerStreams: true, ClientStreams: true}},
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.CustomCodec(rawCodec{}))
	server.RegisterService(&echo, struct{}{})
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	return server.Serve(listener)
}

// Outcome is how many calls of a kind were made, and what those said that failed.
type Outcome struct {
	Made   int      `json:"made"`
	Failed []string `json:"failed"`
}

func callInARow(connection *grpc.ClientConn) Outcome {
	outcome := Outcome{Failed: []string{}}
	for ; outcome.Made < unaryCalls; outcome.Made++ {
		sent := []byte(fmt.Sprintf("call %d", outcome.Made))
		var got []byte
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		err := connection.Invoke(ctx, "/test.Echo/Unary", &sent, &got, grpc.ForceCodec(rawCodec{}))
		cancel()
		if err == nil && string(got) != string(sent) {
			err = fmt.Errorf("%q came back as %q", sent, got)
		}
		if err != nil {
			outcome.Failed = append(outcome.Failed, fmt.Sprintf("call %d: %v", outcome.Made, err))
		}
	}
	return outcome
}

// converse exchanges small messages on one stream, each in its time.
func converse(connection *grpc.ClientConn, number int) error {
	ctx, cancel := context.WithTimeout(context.Background(), streamsTimeout)
	defer cancel()
	// Streams speak one after the other, rather than all at once: each message is a round trip of its own.
	time.Sleep(messageEvery / streams * time.Duration(number))
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := connection.NewStream(ctx, description, "/test.Echo/Chat", grpc.ForceCodec(rawCodec{}))
	if err != nil {
		return err
	}
	ticker := time.NewTicker(messageEvery)
	defer ticker.Stop()
	for i := 0; i < messages; i++ {
		sent := []byte(fmt.Sprintf("stream %d, message %d", number, i))
		if err := stream.SendMsg(&sent); err != nil && err != io.EOF {
			return err
		}
		var got []byte
		if err := stream.RecvMsg(&got); err != nil {
			return fmt.Errorf("message %d: %v", i, err)
		}
		if string(got) != string(sent) {
			return fmt.Errorf("%q came back as %q", sent, got)
		}
		<-ticker.C
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	var rest []byte
	if err := stream.RecvMsg(&rest); err != io.EOF {
		return fmt.Errorf("at its end: %q, %v", rest, err)
	}
	return nil
}

func converseAtOnce(connection *grpc.ClientConn) Outcome {
	outcome := Outcome{Made: streams, Failed: []string{}}
	var all sync.WaitGroup
	var failing sync.Mutex
	for number := 0; number < streams; number++ {
		all.Add(1)
		go func(number int) {
			defer all.Done()
			if err := converse(connection, number); err != nil {
				failing.Lock()
				outcome.Failed = append(outcome.Failed, fmt.Sprintf("stream %d: %v", number, err))
				failing.Unlock()
			}
		}(number)
	}
	all.Wait()
	return outcome
}

func call(address string) error {
	connection, err := grpc.Dial(address, grpc.WithInsecure())
	if err != nil {
		return err
	}
	defer connection.Close()
	outcomes := map[string]Outcome{"unary": callInARow(connection), "streams": converseAtOnce(connection)}
	return json.NewEncoder(os.Stdout).Encode(outcomes)
}

func run() error {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		return serve()
	case len(os.Args) == 3 && os.Args[1] == "call":
		return call(os.Args[2])
	}
	return fmt.Errorf("usage: %s serve | call ADDRESS", os.Args[0])
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
