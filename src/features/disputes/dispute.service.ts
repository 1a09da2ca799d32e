import { type Commands } from '../../jobs/commands/commands.js';
import { clientKey } from '../../jobs/commands/kind.js';
import { badInput } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { acceptDispute, submitEvidence, type SubmitEvidence } from './dispute.commands.js';
import { checkFiles, checkTexts } from './evidence.js';

/** Answers the disputes of one tenant. */
export class DisputeService {
  constructor(
    private readonly commands: Commands,
    /** The subject of the verified token. */
    private readonly actor: string,
  ) {}

  /**
   * Gives evidence; to the bank, too, when it is to be submitted. Most banks take it once.
   * @throws AppError BAD_USER_INPUT · NOT_FOUND · INVALID_STATE · CONFLICT while another change of it is under way · ACCOUNT_DISCONNECTED; and
   *   what {@link Commands.run} throws
   */
  async submitEvidence({ idempotencyKey, ...params }: SubmitEvidence & { idempotencyKey: string }): Promise<Uuid> {
    const key = clientKey(idempotencyKey);
    checkTexts(params.texts);
    checkFiles(params.files);
    if (!params.submit && Object.keys(params.texts).length === 0 && params.files.length === 0)
      throw badInput('input.evidence', 'There is nothing in it to be kept.');
    await this.commands.run(submitEvidence, { idempotencyKey: key, params, actor: this.actor });
    return params.disputeId;
  }

  /**
   * Gives a dispute up: it is lost, and that cannot be undone.
   * @throws AppError NOT_FOUND · INVALID_STATE · CONFLICT · ACCOUNT_DISCONNECTED; and what {@link Commands.run} throws
   */
  async acceptDispute({ disputeId, idempotencyKey }: { disputeId: Uuid; idempotencyKey: string }): Promise<Uuid> {
    const key = clientKey(idempotencyKey);
    await this.commands.run(acceptDispute, { idempotencyKey: key, params: { disputeId }, actor: this.actor });
    return disputeId;
  }
}
