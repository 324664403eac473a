package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sparekey/sparekey/client"
)

// The three calls of one reset.
func Example() {
	server, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	c, err := client.New(server.URL, client.WithKey(server.Key))
	if err != nil {
		fmt.Println(err)
		return
	}
	asked, err := c.Request(ctx, "ann@example.com")
	fmt.Println("asked for:", asked, err)

	id := server.Mail("ann@example.com").ID // from the link that the person opens
	meta, err := c.Metadata(ctx, id)
	fmt.Println("in several accounts:", meta.MultipleAccounts, err)

	_, err = c.Reset(ctx, id, "a rather long sentence")
	fmt.Println("changed:", err == nil)
	// Output:
	// asked for: [ann@example.com] <nil>
	// in several accounts: true <nil>
	// changed: true
}

// Errors are told apart by what they stand for, and tell more where there is more.
func ExampleError() {
	server, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	c, err := client.New(server.URL, client.WithKey(server.Key))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := c.Request(ctx, "ann@example.com"); err != nil {
		fmt.Println(err)
		return
	}
	id := server.Mail("ann@example.com").ID

	_, err = c.Reset(ctx, id, "too short")
	if e, ok := errors.AsType[*client.Error](err); ok {
		for _, reason := range e.PasswordReasons() {
			fmt.Println("refused:", reason.Code)
		}
	}
	server.Advance(2 * time.Hour) // links are good for one
	if _, err = c.Metadata(ctx, id); errors.Is(err, client.ErrExpired) {
		fmt.Println("expired: offer a new link")
	}
	// Output:
	// refused: too_short
	// expired: offer a new link
}

// A key of the scope admin asks for many at once.
func ExampleClient_RequestBulk() {
	server, stop := exampleServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(server.URL, client.WithKey(server.Key))
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := c.RequestBulk(ctx, "ann@example.com", "nobody@example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	job, err := c.WaitJob(ctx, id, 100*time.Millisecond)
	fmt.Println(job.State, job.Total, job.Sent, job.Unknown, err)
	// Output: done 2 1 1 <nil>
}
