package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/reset"
)

// maxListed is the most requests that one list shows.
const maxListed = 100_000

func newRequest(c console) *cobra.Command {
	return newGroup("request", "See and revoke requests, the mailed links",
		`See and revoke requests: each is one mailed link, good for one reset. A request
comes to be when its mail is sent, so what still waits in the outbox is not here.`,
		newRequestList(c), newRequestRevoke(c))
}

// requestRow is a request as it is listed. Its secret id is nowhere but in the mail.
type requestRow struct {
	Ref       int64      `json:"ref"`
	Email     string     `json:"email"`
	State     string     `json:"state"`
	CreatedAt *time.Time `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	EndedAt   *time.Time `json:"ended_at"`
}

func newRequestList(c console) *cobra.Command {
	var (
		asJSON bool
		limit  int
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List requests, newest first",
		Long: `List requests, newest first. REF names one for request revoke; it opens nothing.
The state is open, expired, claimed (a password is being changed with it at this
moment), used (one was changed with it, or may have been) or closed (a newer link,
a disabled user, or request revoke put an end to it).`,
		Example: `  sparekey request list --limit 10
  sparekey request list --json | jq '.[] | select(.state == "open")'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > maxListed {
				return usagef(fmt.Sprintf("write --limit with a number from 1 to %d", maxListed), "the limit is out of range")
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				rows, err := listRequests(ctx, core, limit)
				if err != nil {
					return err
				}
				return printList(c.stdout, asJSON, rows, []string{"REF", "USER", "STATE", "CREATED", "EXPIRES"}, func(r requestRow) []string {
					return []string{strconv.FormatInt(r.Ref, 10), r.Email, r.State, stamp(r.CreatedAt, "-"), stamp(r.ExpiresAt, "-")}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most `N`")
	dataFlags(cmd)
	return cmd
}

func listRequests(ctx context.Context, core *core, limit int) ([]requestRow, error) {
	requests, err := core.store.Requests(ctx, limit)
	if err != nil {
		return nil, err
	}
	emails := map[string]string{} // by the user's id
	rows := make([]requestRow, len(requests))
	for i, r := range requests {
		email, known := emails[r.UserID]
		if !known {
			u, err := core.people.UserByID(ctx, r.UserID)
			// A user that is gone leaves an empty address, and so does one whose directory cannot be reached.
			if err != nil && !errors.Is(err, reset.ErrNoUser) && reset.AsError(err).Kind != reset.Unavailable {
				return nil, err
			}
			email = u.Email.Raw()
			emails[r.UserID] = email
		}
		rows[i] = requestRow{
			Ref: r.Ref, Email: email, State: string(r.State),
			CreatedAt: instant(r.CreatedAt), ExpiresAt: instant(r.ExpiresAt), EndedAt: instant(r.EndedAt),
		}
		if r.State == reset.StateOpen && !core.now().Before(r.ExpiresAt) {
			rows[i].State = "expired"
		}
	}
	return rows, nil
}

func newRequestRevoke(c console) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke REF",
		Short: "Make a mailed link useless",
		Long: `Make a mailed link useless before it is used. REF is the number that request list
shows. The user may ask for another; to prevent that see: sparekey user disable
On a terminal it asks first; a script is not asked.`,
		Example: `  sparekey request revoke 42`,
		Args:    takes("REF"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || ref < 1 {
				return usagef(seeRequests, "REF is the number that request list shows")
			}
			if err := confirm(cmd.Context(), c, yes, goOnUnasked, fmt.Sprintf("Revoke the request %d?", ref)); err != nil {
				return err
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				err := core.store.Update(ctx, func(tx reset.Tx) error {
					tx.Record(reset.AdminAct(ctx, core.now(), reset.ActRevoked, "ref", args[0]))
					return tx.CloseRequest(ctx, ref, core.now())
				})
				if errors.Is(err, reset.ErrNoRequest) {
					return hintf(fmt.Errorf("there is no open request %d", ref), seeRequests)
				}
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.stdout, "revoked request %d\n", ref)
				return err
			})
		},
	}
	yesFlag(cmd, &yes)
	dataFlags(cmd)
	return cmd
}

const seeRequests = "see: sparekey request list"
