/* Answers and actions for particular callbacks, from the command line. */

#ifndef ANSWERS_H
#define ANSWERS_H

#include "session.h"

/* Counts a call for the rules that match it, and returns the answer. */
HRESULT answer_call(struct session *session, enum callback_method method, const GUID *item);

/* Counts a Progress call, and posts the actions for it to the main thread. */
void push_on_progress(struct session *session, const GUID *item);

#endif
