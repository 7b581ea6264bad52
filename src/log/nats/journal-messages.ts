/** How long the journals of a region are, asked in one question. The server counts messages by subject, not bytes. */
import type { JetStreamManager } from '@nats-io/jetstream';
import { partitionOfSubject, type Subjects } from '../subjects.js';

/** Messages in the journals, by partition; a partition without any is not in it. Rejects when the server does not answer. */
export async function journalMessages(
  jsm: JetStreamManager,
  subjects: Subjects,
): Promise<ReadonlyMap<number, number>> {
  const { state } = await jsm.streams.info(subjects.engineStream, { subjects_filter: subjects.allJournals });
  return new Map(
    Object.entries(state.subjects ?? {}).map(([subject, messages]) => [
      partitionOfSubject(subject),
      messages,
    ]),
  );
}
