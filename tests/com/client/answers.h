/* What the command line wants to happen at particular callbacks. */

#ifndef ANSWERS_H
#define ANSWERS_H

#include "session.h"

/* Counts a call for the rules that match it and tells what to answer. */
HRESULT answer_call(struct session *session, enum callback_method method, const GUID *item);

/* Counts a Progress and posts what the main thread should do at this one. */
void push_on_progress(struct session *session, const GUID *item);

#endif
