/* The methods with which a handler shows something to the user. */

#ifndef INTERACT_H
#define INTERACT_H

#include "session.h"

/* ShowProperties of the item on the command line, up to its completion. */
void interact_show_properties(struct session *session);

/* ShowError, up to its completion; returns true if it requests a retry. */
bool interact_show_error(struct session *session, const GUID *error);

#endif
